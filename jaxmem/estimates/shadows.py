"""Every trial as target, the others as its shadow models: leave-one-out statistics.

Of T margins of an example, those of trials that saw it are one side, the rest the other.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.estimates.results import Run

LARGEST = float(np.finfo(np.float16).max)  # beyond which stored margins are infinite
CELLS = 160  # bytes that a margin of a block takes at the most


class Side(NamedTuple):
    """What the other trials of a side say of an example, for each of K targets."""

    models: np.ndarray  # int64 [K, n], trials of the side, the target not among them
    median: np.ndarray  # float64 [K, n] of their margins; NaN of none
    mean: np.ndarray  # float64 [K, n]
    squares: np.ndarray  # float64 [K, n], sum of squared distances from the mean

    def std(self) -> np.ndarray:
        """Standard deviation, by n as `numpy.std`: float64 [K, n]; NaN of fewer than 2."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.models > 1, np.sqrt(self.squares / self.models), np.nan)


def leave_one_out(margin: np.ndarray, side: np.ndarray, targets: np.ndarray) -> Side:
    """The statistics of a side without each target in turn.

    margin: float64 [T, n]; side: bool [T, n], which trials are of the side; targets: int
    [K], rows. One sort an example serves all targets: without the trial of rank r, the
    k-th of the others is the k-th of all below r and the next one from there on.
    """
    count = side.sum(axis=0)
    # About the middle of each example, so that the sums of squares keep their digits.
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.where(count > 0, (margin * side).sum(axis=0) / count, 0)
    ordered = np.where(side, margin, np.inf)
    order = np.argsort(ordered, axis=0, kind="stable")
    ordered = np.take_along_axis(ordered, order, axis=0)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(len(order))[:, None], axis=0)
    own = side[targets]
    # A target of the other side leaves all: a rank that none reaches.
    rank = np.where(own, rank[targets], len(order))
    n = count - own

    def kth(k: np.ndarray) -> np.ndarray:
        k = np.where(n > 0, k, 0)
        return np.take_along_axis(ordered, (k + (rank <= k)).clip(0, len(order) - 1), 0)

    shifted = np.where(side, margin - middle, 0)
    gone = shifted[targets]
    total, square = shifted.sum(axis=0) - gone, (shifted**2).sum(axis=0) - gone**2
    with np.errstate(divide="ignore", invalid="ignore"):
        median = np.where(n > 0, (kth((n - 1) // 2) + kth(n // 2)) / 2, np.nan)
        mean = np.where(n > 0, total / n, np.nan)
        squares = np.where(n > 0, square - n * mean**2, 0)
    # Of equal margins the difference is rounding, and is to be 0.
    squares = np.where(squares <= 1e-12 * (square + (shifted**2).sum(axis=0)), 0, squares)
    return Side(n, median, mean + middle, squares)


def blocks(run: Run, targets: np.ndarray, memory: float) -> Iterator[slice]:
    """Columns of the training set, so many that a block of them fits `memory`, in GiB.

    What stays is counted: margins and masks of all trials, scores of all targets. Raises
    InputError where that alone is too much.
    """
    trials, examples = run.included.shape
    kept = trials * examples * 3 + targets.size * examples * 4
    room = memory * 2**30 - kept
    width = int(room // (CELLS * (trials + targets.size)))
    if width < 1:
        raise InputError(
            f"memory {memory:g} GiB is too little: margins and scores take "
            f"{kept / 2**30:.3g} GiB; attack fewer targets or give more"
        )
    for start in range(0, examples, width):
        yield slice(start, min(start + width, examples))


def margins_of(run: Run, part: slice) -> np.ndarray:
    """Margins of some training examples, finite: float64 [T, n]."""
    return np.clip(run.train_margin[:, part].astype(np.float64), -LARGEST, LARGEST)
