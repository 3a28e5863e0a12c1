"""One process at a time in a bucket's folder: locks that end soon after their owner.

A lock is an object that says who has it, and that its owner writes anew every RENEWED
seconds; empty or absent, it is free. Every write is conditional on what was there before,
so two never both have it. Who finds it in other hands waits for the next renewal: there is
one, and the owner lives; or there is none for STALE seconds, and the lock is taken over. No
clocks are compared. An owner that could not renew for OVERDUE seconds counts it as lost.
"""

import contextlib
import errno
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jaxmem._shared.files import reason
from jaxmem._shared.objects import ObjectPath, open_kvstore, said
from jaxmem._shared.progress import say
from jaxmem.errors import InputError

RENEWED = 10.0
OVERDUE = 45.0
STALE = 60.0
LOOKS = 0.5  # seconds from one look at another's lock to the next


@contextlib.contextmanager
def holding(path: ObjectPath, busy: str | None) -> Iterator[Callable[[], None]]:
    """Have a lock meanwhile; gives a function that raises InputError once it is lost.

    busy: what InputError says where another lives that has it; None: wait until it is free.
    Raises OSError where the bucket does not do it.
    """
    lock = _Lock(path)
    while not lock.take(_settled([lock], busy)[0]):
        pass  # another was faster
    thread = threading.Thread(target=lock.renew_on, daemon=True)
    thread.start()
    try:
        yield lock.check
    finally:
        lock.over.set()
        thread.join()
        lock.release()


def see_free(paths: Sequence[ObjectPath], busy: str) -> None:
    """Wait until no lock has an owner that lives; those of the dead become free.

    Raises InputError(busy) as soon as one lives.
    """
    locks = [_Lock(path) for path in paths]
    for lock, generation in zip(locks, _settled(locks, busy), strict=True):
        if lock.read().value and not lock.release(generation):
            raise InputError(busy)  # it was renewed after all


def is_free(path: ObjectPath) -> bool:
    """Whether a lock is free now; one whose owner may be dead is not."""
    return not _Lock(path).read().value


def _settled(locks: Sequence["_Lock"], busy: str | None) -> list[Any]:
    """The generations of locks, once each is free or stale."""
    first = found = [lock.read() for lock in locks]
    start, told = time.monotonic(), False
    while any(read.value for read in found) and time.monotonic() - start < STALE:
        if not told:
            who = next(_owner(read.value) for read in found if read.value)
            say(f"{who} has the lock of {locks[0].folder}: seeing whether it is at work")
            told = True
        time.sleep(LOOKS)
        found = [lock.read() for lock in locks]
        for read, before in zip(found, first, strict=True):
            if read.stamp.generation != before.stamp.generation:
                if busy is not None and read.value and before.value:
                    raise InputError(f"{busy} ({_owner(read.value)})")
                start = time.monotonic()
        first = found
    for read in found:
        if read.value:
            say(f"{_owner(read.value)} has not renewed its lock for {STALE:.0f} s: taken")
    return [read.stamp.generation for read in found]


def _owner(value: bytes) -> str:
    try:
        return str(json.loads(value)["owner"])
    except (ValueError, KeyError, TypeError):
        return "another process"


class _Lock:
    """A lock, as one process sees it."""

    def __init__(self, path: ObjectPath):
        self._path, self._key, self.folder = path, path.name, path.parent
        self._bucket = open_kvstore(path.parent.kvstore)
        self._owner = f"process {os.getpid()} on {socket.gethostname()}"
        self._token, self._count = secrets.token_hex(8), 0
        self._generation: Any = None
        self._renewed = 0.0
        self._lost = ""
        self.over = threading.Event()

    def read(self) -> Any:
        """What is there now."""
        try:
            return self._bucket.read(self._key).result()
        except ValueError as error:
            raise OSError(errno.EIO, said(error)) from error

    def take(self, generation: Any) -> bool:
        """Whether it is ours now: nobody has written since this generation."""
        self._generation = generation
        return self._renew()

    def renew_on(self) -> None:
        """Until it is over, or lost."""
        while not self.over.wait(RENEWED):
            try:
                if not self._renew():
                    self._lost = f"{_owner(self.read().value)} took over"
                    return
            except OSError as error:
                if time.monotonic() - self._renewed > OVERDUE:
                    self._lost = reason(error)
                    return

    def check(self) -> None:
        """Raises InputError where it is no longer ours, or may not be."""
        if not self._lost and time.monotonic() - self._renewed > OVERDUE:
            self._lost = f"it could not be renewed for {OVERDUE:.0f} s"
        if self._lost:
            raise InputError(
                f"lost the lock {self._path}: {self._lost}; what is finished is kept, and "
                "the same command resumes"
            )

    def release(self, generation: Any = None) -> bool:
        """Make it free, if it is ours, or still of this generation; whether it is."""
        self._generation = generation or self._generation
        if not self._lost:
            with contextlib.suppress(OSError):  # then it becomes stale
                return self._write(b"")
        return False

    def _renew(self) -> bool:
        # A store's generation may be its content's hash: no content comes twice.
        self._count += 1
        value = {"owner": self._owner, "token": self._token, "renewed": self._count}
        now = time.monotonic()
        if not self._write(json.dumps(value).encode()):
            return False
        self._renewed = now
        return True

    def _write(self, value: bytes) -> bool:
        """Whether it could be written over what we know to be there."""
        try:
            future = self._bucket.write(self._key, value, if_equal=self._generation)
            stamp = future.result(timeout=OVERDUE)
        except (ValueError, TimeoutError) as error:
            raise OSError(errno.EIO, said(error)) from error
        if not stamp.generation:
            # An answer that was lost on its way is asked for again: that is no refusal.
            stamp = (read := self.read()).stamp
            if not value or read.value != value:
                return False
        self._generation = stamp.generation
        return True
