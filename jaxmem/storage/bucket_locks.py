"""Who may write to a workdir in a bucket: as `storage.workdir` says, without `flock`."""

import contextlib
from collections.abc import Callable

from jaxmem._shared.object_locks import holding, see_free
from jaxmem._shared.objects import ObjectPath
from jaxmem.errors import InputError
from jaxmem.storage.shares import Share


def hold(
    held: contextlib.ExitStack, workdir: ObjectPath, share: Share | None, others: str
) -> Callable[[], None]:
    """Keep other writers out until `held` is closed, as `workdir.locked`.

    Gives a function that raises InputError once the lock is lost. A lock is taken before
    those of others are looked at: of two that come at once, at least one sees the other.
    """
    whole, locks = workdir / "lock", workdir / "locks"
    busy = f"another run is writing to {workdir}; {others}"
    if share is None:
        see_free(_shares(locks), busy)  # which may take long: others shall not wait for us
        check = held.enter_context(holding(whole, busy))
        see_free(_shares(locks), busy)
        _check_lists(workdir)
        return check
    mine = f"another process trains share {share} of {workdir}; {others}"
    check = held.enter_context(holding(locks / share.name, mine))
    see_free([whole], busy)
    for path in _shares(locks):
        count = path.name.rpartition("-")[2]
        if count != str(share.count):
            busy = f"{workdir} is being trained in {count} shares, not {share.count}"
            see_free([path], f"{busy}; {others}")
    _check_lists(workdir)
    return check


def _check_lists(workdir: ObjectPath) -> None:
    """See what we wrote: TensorStore gives nothing for what it may not list."""
    if not workdir.is_dir():
        raise InputError(f"{workdir} does not let us list its objects, only write them")


def _shares(locks: ObjectPath) -> list[ObjectPath]:
    return list(locks.glob("share-*-of-*"))
