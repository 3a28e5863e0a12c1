"""Every trial as target, the others as its shadow models: leave-one-out statistics.

Of T margins of an example, those of trials that saw it are one side, the rest the other.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.estimates.results import Run

LARGEST = float(np.finfo(np.float16).max)  # beyond which stored margins are infinite
BYTES = 160  # that a margin of a block takes at the most
CELLS = 1 << 19  # margins of a block, so that it stays near the processor


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
    [K], rows. One sort an example serves all targets: without a value v of sorted ones, the
    k-th of the others is the k-th of all where v is above that, else the next one.
    """
    count, own, value = side.sum(axis=0), side[targets], margin[targets]
    n = count - own
    with np.errstate(divide="ignore", invalid="ignore"):
        median = np.where(n > 0, _medians(margin, side, count, own, value), np.nan)
        # About the middle of each example, so that sums of squares keep their digits.
        middle = np.where(count > 0, np.einsum("tn,tn->n", margin, side) / count, 0)
        shifted = (margin - middle) * side
        gone = shifted[targets]
        every = np.einsum("tn,tn->n", shifted, shifted)
        mean = (shifted.sum(axis=0) - gone) / n
        squares = every - gone**2 - n * mean**2
    # Of equal margins the difference is rounding, and is to be 0.
    squares = np.where((n > 0) & (squares > 1e-12 * every), squares, 0)
    return Side(n, median, mean + middle, squares)


def _medians(margin, side, count, own, value) -> np.ndarray:
    """Medians of a side [T, n] without values [K, n] where own [K, n]; NaN of none."""
    single = np.where(side, margin, np.inf).T.astype(np.float32)  # of float16: exact
    ordered = np.sort(single, axis=1).astype(np.float64)
    rows, last = np.arange(count.size), len(side) - 1

    def kth(k: np.ndarray) -> np.ndarray:
        return ordered[rows, k.clip(0, last)]

    def kth_without(k: np.ndarray) -> np.ndarray:
        return np.where(value <= kth(k), kth(k + 1), kth(k))

    whole = (kth((count - 1) // 2) + kth(count // 2)) / 2
    rest = (kth_without((count - 2) // 2) + kth_without((count - 1) // 2)) / 2
    return np.where(own, rest, whole)


def blocks(
    run: Run, targets: np.ndarray, memory: float, copies: int = 0
) -> Iterator[slice]:
    """Columns of the training set, so many that a block of them fits `memory`, in GiB.

    What stays is counted: margins, also of copies of each example, and masks of all trials,
    scores of all targets. Raises InputError where that alone is too much.
    """
    trials, examples = run.included.shape
    kept = trials * examples * (3 + 2 * copies) + targets.size * examples * 4
    room = memory * 2**30 - kept
    column = BYTES * (trials + targets.size) + 16 * copies * targets.size
    width = min(room // column, max(1, CELLS // trials))
    if width < 1:
        raise InputError(
            f"memory {memory:g} GiB is too little: margins and scores take "
            f"{kept / 2**30:.3g} GiB; attack fewer targets or give more"
        )
    for start in range(0, examples, int(width)):
        yield slice(start, min(start + int(width), examples))


def query_margins(run: Run) -> np.ndarray:
    """Margins of Q copies of the training examples: float16 [T, Q, N].

    Raises InputError if the run stored none.
    """
    if not run.config.queries:
        raise InputError(
            f"{run.workdir} stored no queries: run it with --queries=mirror,shifts"
        )
    return run.reader.read("train_query_margin", run.trials)


class Asked(NamedTuple):
    """All that an attack asks the trials about the training examples."""

    margins: list[np.ndarray]  # float16 [T, N] of the examples, then of each copy

    @classmethod
    def of(cls, run: Run, queries: bool) -> "Asked":
        """queries: also the copies. Raises InputError where they are not stored."""
        copies = list(query_margins(run).swapaxes(0, 1)) if queries else []
        return cls([run.train_margin, *copies])

    @property
    def copies(self) -> int:
        """How many of each example."""
        return len(self.margins) - 1

    def part(self, columns: slice) -> Iterator[np.ndarray]:
        """Margins of some examples, finite, float64 [T, n]: as they are, then each copy."""
        for margin in self.margins:
            yield np.clip(margin[:, columns].astype(np.float64), -LARGEST, LARGEST)
