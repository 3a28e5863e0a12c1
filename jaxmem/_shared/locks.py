"""One process at a time: locks that end with their process, however that ends."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from jaxmem._shared.progress import say

# What some network file systems say of all locks.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


@contextlib.contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Be the only process in here, after waiting for another; `path` is there meanwhile.

    what: the work, for the line that says so. Raises OSError where it cannot be created.
    """
    while True:
        file = open(path, "a+")
        _wait_for(file, path, what)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                break
        file.close()  # who had it before us has removed it
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _wait_for(file, path: Path, what: str) -> None:
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is {what}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        say(f"{path.parent} cannot be locked: let no other process be {what}")
