"""A workdir's lock, and which examples its rows and columns are.

WORKDIR/config.json     everything that decides the results: `storage.config`
WORKDIR/examples.npz    labels, ids and names of train and test
WORKDIR/masks.npy       the subsets that a run was given: `storage.masks`
WORKDIR/plan.json       the layout chosen for each kind of device: `storage.layouts`
WORKDIR/trials.zarr/    what each trial left: `storage.schema`, `storage.store`
WORKDIR/models/         kept models, and in_flight/ those in training: `storage.checkpoints`
WORKDIR/lock, locks/    held by the processes that train: empty, or in a bucket their names
"""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmem._shared.files import read_npz, refusals, replacing
from jaxmem._shared.locks import NO_LOCKS, alone
from jaxmem._shared.object_locks import holding, is_free
from jaxmem._shared.objects import in_bucket
from jaxmem._shared.progress import say
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.storage import bucket_locks
from jaxmem.storage.shares import Share

SHARE_SECONDS = 3.0  # that a share waits for who holds the lock for a moment
OTHERS = "wait for it, or give another --workdir"


@contextlib.contextmanager
def locked(workdir: Path, share: Share | None = None) -> Iterator[Callable[[], None]]:
    """Create the workdir if need be, and be its only writer; readers need no lock.

    share: be the only writer of these trials, beside other shares of the same count. Gives
    a function that raises InputError once that is no longer so, as can be in a bucket.
    Raises InputError if it cannot be written, is somebody else's folder or has a writer.
    """
    with refusals(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        files = [f.name for f in workdir.iterdir()]
        ours = "lock", "locks"
        strangers = [f for f in files if f not in ours and not f.startswith(".")]
        if strangers and "config.json" not in strangers:
            raise InputError(
                f"{workdir} holds other files ({strangers[0]}, …) and no jaxmem run; "
                "give a new --workdir"
            )
    with contextlib.ExitStack() as held:
        if in_bucket(workdir):
            with refusals(workdir):
                check = bucket_locks.hold(held, workdir, share, OTHERS)
            yield check
            return
        busy = f"another run is writing to {workdir}; {OTHERS}"
        if share is None:
            _hold(held, workdir / "lock", fcntl.LOCK_EX, busy)
        else:
            _hold(held, workdir / "lock", fcntl.LOCK_SH, busy, SHARE_SECONDS)
            _hold_share(held, workdir, share)
        yield lambda: None


def _hold_share(held: contextlib.ExitStack, workdir: Path, share: Share) -> None:
    """Keep out the same share, and those of another count."""
    folder = workdir / "locks"
    with refusals(workdir):
        folder.mkdir(exist_ok=True)
    busy = f"another process trains share {share} of {workdir}; {OTHERS}"
    _hold(held, folder / share.name, fcntl.LOCK_EX, busy)
    for path in folder.glob("share-*-of-*"):
        count = path.name.rpartition("-")[2]
        if count != str(share.count):
            with contextlib.ExitStack() as probe:
                busy = f"{workdir} is being trained in {count} shares, not {share.count}"
                _hold(probe, path, fcntl.LOCK_SH, f"{busy}; {OTHERS}")


def _hold(
    held: contextlib.ExitStack, path: Path, kind: int, busy: str, seconds: float = 0.0
) -> None:
    """Lock a file until `held` is closed.

    Raises InputError(busy) where another has it, and has it still after so many seconds.
    """
    with refusals(path.parent):
        # NFS gives a shared lock to who may read, an exclusive one to who may write.
        file = held.enter_context(open(path, "a+"))
    until = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise InputError(busy) from None
            time.sleep(0.1)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise InputError(f"cannot lock {path}: {error.strerror}") from None
            return say(
                f"{path} cannot be locked ({error.strerror}): let no other run write"
            )


def left_in_flight(workdir: Path, share: Share) -> list[str]:
    """Names of shares of other counts that left states in flight, and train no more."""
    folders = (workdir / "in_flight").glob("share-*-of-*")
    others = [f.name for f in folders if not f.name.endswith(f"-of-{share.count}")]
    return [name for name in others if _free(workdir / "locks" / name)]


def _free(path: Path) -> bool:
    """Whether it is certain that nobody holds a lock."""
    if in_bucket(path):
        return is_free(path)
    try:
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def setting_up(workdir: Path) -> contextlib.AbstractContextManager[None]:
    """One share at a time makes a workdir's files; the others wait, and find them."""
    return _one_at_a_time(workdir / "locks" / "setup", f"setting up {workdir}")


@contextlib.contextmanager
def _one_at_a_time(path: Path, what: str) -> Iterator[None]:
    with holding(path, None) if in_bucket(path) else alone(path, what):
        yield


@contextlib.contextmanager
def last_one_out(workdir: Path) -> Iterator[bool]:
    """Whether no share is being trained; if so, one process at a time is in here."""
    try:
        with locked(workdir):  # for a moment: who resumes shall find it free
            last = True
    except InputError:
        last = False
    what = f"making the estimates of {workdir}"
    with _one_at_a_time(workdir / "locks" / "estimates", what):
        yield last


NO_GROUPS = np.zeros(0, str)


class Index(NamedTuple):
    """What the rows and columns of a run's estimates are: examples.npz."""

    tr_labels: np.ndarray  # int32 [N]
    tt_labels: np.ndarray  # int32 [E]
    tr_ids: np.ndarray  # str [N]
    tt_ids: np.ndarray  # str [E]
    tr_names: np.ndarray  # str [N], by which the owner finds them
    tt_names: np.ndarray  # str [E]
    class_names: np.ndarray  # str [K], or [0] where classes are just numbers
    tr_groups: np.ndarray = NO_GROUPS  # str [N], each example's, or [0] where none are

    @classmethod
    def of(cls, data: Dataset, groups: np.ndarray | None = None) -> "Index":
        """Those of a dataset, and of each training example's group, str [N]."""
        train, test = data.train, data.test
        return cls(
            *(train.labels, test.labels, train.ids, test.ids, train.names, test.names),
            np.array(data.class_names, str),
            NO_GROUPS if groups is None else groups,
        )


def write_index(workdir: Path, index: Index) -> None:
    """Write examples.npz, unless the same stands there whole."""
    path = workdir / "examples.npz"
    try:
        stored = read_index(workdir)
        if all(map(np.array_equal, stored, index)):
            return
    except InputError:
        pass  # absent or damaged
    with refusals(workdir), replacing(path) as partial:
        written = index._asdict()
        if not index.tr_groups.size:
            del written["tr_groups"]  # as in the first workdirs of format 3
        np.savez(partial, **written)


def read_index(workdir: Path) -> Index:
    """Read examples.npz; raises InputError where that cannot be done."""
    path = workdir / "examples.npz"
    stored = read_npz(path)
    stored.setdefault("tr_groups", NO_GROUPS)
    if lacking := set(Index._fields) - set(stored):
        raise InputError(f"{path} lacks {', '.join(sorted(lacking))}")
    return Index(**{name: stored[name] for name in Index._fields})
