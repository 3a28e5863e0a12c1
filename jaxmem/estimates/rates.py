"""How well scores tell members from others: exactly, and of resampled scores.

Scores may be many: they are sorted once, members and others apart, and looked up in parts.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

CELLS = 1 << 22  # scores that are looked at at a time, at most
STEPS = 1000  # thresholds that resampled curves are followed at


class Ordered(NamedTuple):
    """Known scores, ascending."""

    members: np.ndarray  # [M]
    others: np.ndarray  # [O]

    @classmethod
    def of(cls, scores: np.ndarray, members: np.ndarray) -> "Ordered":
        """Of scores and members of one shape; NaN and infinite scores take no part."""
        known = np.isfinite(scores)
        sides = scores[known & members], scores[known & ~members]
        for side in sides:
            side.sort()
        return cls(*sides)

    def auc(self) -> float:
        """The chance that a member's score is above another's; ties count half."""
        pairs = 0
        for part in self._parts():
            for end in ("left", "right"):
                pairs += int(np.searchsorted(self.others, part, end).sum())
        return pairs / (2 * self.members.size * self.others.size)

    def balanced_accuracy(self) -> float:
        """At the best threshold, which is some member's score, or above all."""
        best = 0.0
        for part in self._parts():
            true, false = (
                (side.size - np.searchsorted(side, part)) / side.size for side in self
            )
            best = max(best, float(np.max(true - false)))
        return (1 + best) / 2

    def true_positive_rates(self, rates: np.ndarray) -> np.ndarray:
        """At the lowest thresholds whose false-positive rates are not beyond these: [P]."""
        size = self.others.size
        alarms = np.floor(rates * size).astype(np.int64)  # which rounds: as k / size does
        alarms += ((alarms + 1) / size <= rates).astype(np.int64)
        alarms -= (alarms / size > rates).astype(np.int64)
        # Above the highest of the others that must not be found.
        beaten = self.others[(size - 1 - alarms).clip(0)]
        found = self.members.size - np.searchsorted(self.members, beaten, side="right")
        return np.where(alarms < size, found / self.members.size, 1.0)

    def _parts(self) -> Iterator[np.ndarray]:
        for start in range(0, self.members.size, CELLS):
            yield self.members[start : start + CELLS]


def resampled(
    scores: np.ndarray,
    members: np.ndarray,
    others: np.ndarray,
    grid: np.ndarray,
    resamples: int,
    rng: np.random.Generator,
    at_once: int = CELLS,
) -> np.ndarray:
    """(AUC, balanced accuracy, rates at grid) of resampled targets and examples: [R, .].

    scores, members: [K, N]; others: ascending, the known scores of those. So many scores at
    once, in blocks of targets that all resamples look at in turn.
    """
    # Dense where few others are left, so that the lowest rates keep all their steps.
    places = np.unique(np.geomspace(1, others.size, STEPS).astype(int))
    cuts = np.unique(others[others.size - places])
    kinds, sizes = cuts.size + 1, scores.shape
    times = [[_times(size, rng) for size in sizes] for _ in range(resamples)]
    counts = np.zeros((resamples, 2 * kinds))
    rows = max(1, at_once // sizes[1])
    for start in range(0, sizes[0], rows):
        part = slice(start, start + rows)
        known = np.isfinite(scores[part])
        place = np.searchsorted(cuts, scores[part][known], side="right")
        place += members[part][known] * kinds
        for count, (by_target, by_example) in zip(counts, times, strict=True):
            weights = (by_target[part, None] * by_example)[known]
            count += np.bincount(place, weights, minlength=2 * kinds)
    return np.array([_of_counts(count.reshape(2, kinds), grid) for count in counts])


def _times(size: int, rng: np.random.Generator) -> np.ndarray:
    """How often each is drawn when as many are drawn with replacement: uint16."""
    return np.bincount(rng.integers(size, size=size), minlength=size).astype(np.uint16)


def _of_counts(counts: np.ndarray, grid: np.ndarray) -> list[float]:
    """(AUC, balanced accuracy, rates at grid) of others and members between the cuts."""
    tails = counts[:, ::-1].cumsum(axis=1)
    with np.errstate(invalid="ignore"):
        false, true = np.concatenate([np.zeros((2, 1)), tails / tails[:, -1:]], axis=1)
    # At the last points not beyond the false-positive rates.
    last = np.searchsorted(false, grid, side="right") - 1
    return [np.trapezoid(true, false), (1 + np.max(true - false)) / 2, *true[last]]
