"""Which trials a worker of a cluster trains next, and what happens to those it loses.

No clock and no cluster in here: callers say what time it is.
"""

import statistics
from collections import deque
from collections.abc import Hashable, Sequence
from typing import NamedTuple

SECONDS = 20.0  # about what a lease takes
LOSSES = 3  # of one lease, by as many workers, until it is set aside
MOST_LOSSES = 3 * LOSSES  # of one lease, by however few
STRAGGLER_SECONDS = 600.0  # no lease is given to a further worker before
STRAGGLER_TIMES = 10  # and before it took this many times the median


class Lease(NamedTuple):
    """Trials that one worker trains, returned together."""

    trials: tuple[int, ...]
    losses: int = 0
    losers: frozenset[Hashable] = frozenset()  # who lost it


class Aside(NamedTuple):
    """A lease that was lost too often."""

    trials: tuple[int, ...]
    reason: str  # why, the last time


class _Running(NamedTuple):
    lease: Lease
    since: float


class Leases:
    """Deals out trials, until each was returned or set aside.

    A lease that was lost goes to another worker, since the fault may be the loser's: a GPU
    that fails at once would else set aside one lease after another.
    """

    def __init__(self, trials: Sequence[int], workers: int = 1):
        self._workers = workers
        self._rest = deque(trials)
        self._again: deque[Lease] = deque()
        self._running: dict[Hashable, _Running] = {}  # by who has it, the newest last
        self._left = set(trials)
        self._seconds: list[float] = []
        self.aside: list[Aside] = []

    @property
    def over(self) -> bool:
        """Whether all trials were returned or set aside."""
        return not self._left

    @property
    def untaken(self) -> int:
        """How many trials nobody has."""
        return len(self._rest) + sum(len(lease.trials) for lease in self._again)

    def take(self, holder: Hashable, most: int, now: float) -> Lease | None:
        """A lease for who has none: a lost one, else new trials, else a straggler's.

        One that this holder lost itself comes after new trials, and only if nobody is at
        work who might take it.
        """
        lease = self._lost_by_others(holder)
        if lease is None and self._rest:
            count = min(most, len(self._rest))
            lease = Lease(tuple(self._rest.popleft() for _ in range(count)))
        if lease is None and self._again and not self._at_work():
            lease = self._again.popleft()
        if lease is None:
            lease = self._overdue(now)
        if lease is not None:
            self._running[holder] = _Running(lease, now)
        return lease

    def returned(self, holder: Hashable, now: float) -> list[int]:
        """The places in a holder's lease of the trials that nobody returned before."""
        lease, since = self._running.pop(holder)
        self._seconds.append(now - since)
        new = [k for k, trial in enumerate(lease.trials) if trial in self._left]
        self._left.difference_update(lease.trials)
        return new

    def lost(self, holder: Hashable, reason: str, blame: bool = True) -> None:
        """A holder will not return its lease: it is dealt again, or set aside.

        blame: whether the lease may be the cause.
        """
        lease = self._running.pop(holder).lease
        if self._held(lease) or self._left.isdisjoint(lease.trials):
            return  # another has it, or has returned it
        if blame:
            losers = lease.losers | {holder}
            lease = lease._replace(losses=lease.losses + 1, losers=losers)
        enough = lease.losses >= LOSSES and len(lease.losers) >= min(LOSSES, self._workers)
        if not enough and lease.losses < MOST_LOSSES:
            self._again.append(lease)
        else:
            self.aside.append(Aside(lease.trials, reason))
            self._left.difference_update(lease.trials)

    def _lost_by_others(self, holder: Hashable) -> Lease | None:
        """The first lost lease that a holder has not lost, or that all have."""
        for place, lease in enumerate(self._again):
            if holder not in lease.losers or len(lease.losers) >= self._workers:
                del self._again[place]
                return lease
        return None

    def _at_work(self) -> bool:
        """Whether anybody has trials that are still wanted."""
        held = self._running.values()
        return any(not self._left.isdisjoint(each.lease.trials) for each in held)

    def _held(self, lease: Lease) -> bool:
        return any(other.lease.trials == lease.trials for other in self._running.values())

    def _overdue(self, now: float) -> Lease | None:
        """The lease of a straggler, whose other holders, if any, are stragglers too."""
        if not self._seconds:
            return None
        patience = STRAGGLER_TIMES * statistics.median(self._seconds)
        newest: dict[tuple[int, ...], _Running] = {}
        for running in self._running.values():
            # What another has returned is no longer waited for.
            if not self._left.isdisjoint(running.lease.trials):
                newest[running.lease.trials] = running
        for running in newest.values():
            if now - running.since > max(STRAGGLER_SECONDS, patience):
                return running.lease
        return None


def lease_size(block: int, seconds: float | None, untaken: int, workers: int) -> int:
    """How many trials a worker takes: whole blocks, for SECONDS, or its part of the rest.

    seconds: what a block took it; None: not known yet.
    """
    if seconds is None:
        return block
    blocks = round(SECONDS / max(seconds, 1e-3))
    part = -(-untaken // (workers * block))
    return block * max(1, min(blocks, part))
