"""How far two runs agree (Feldman & Zhang 2020, arXiv 2008.03703, Figure 7)."""

from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.estimates.results import Run


class Agreement(NamedTuple):
    """How far two sets of estimates agree on what is at or above each of K thresholds."""

    thresholds: np.ndarray  # float64 [K]
    first: np.ndarray  # int64 [K], how many the first puts there: |I|
    second: np.ndarray  # int64 [K], how many the second puts there: |I'|
    jaccard: np.ndarray  # float64 [K], J = |I n I'| / |I u I'|; NaN where both are empty
    distance: np.ndarray  # float64 [K], D = mean over I u I' of |a - a'|; NaN likewise


def memorization_agreement(first: Run, second: Run, thresholds) -> Agreement:
    """J_mem and D_mem of two runs on the same training set.

    Examples without an estimate in either run are left out. Raises InputError if the
    training sets differ.
    """
    _need_same(first, second, "tr_ids", "tr_labels")
    a, b = first.memorization, second.memorization
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    total = _Sums(np.asarray(thresholds, np.float64))
    total.add(a, b, a, b)
    return total.agreement()


def influence_agreement(
    first: Run, second: Run, thresholds, mem: float = 0.25
) -> Agreement:
    """J_infl and D_infl of two runs on the same data, over pairs of one class.

    I(θ) are the pairs with infl >= θ whose training example has mem >= `mem`, in either run
    by its own estimates. Raises InputError if training or test sets differ.
    """
    _need_same(first, second, "tr_ids", "tr_labels", "tt_ids", "tt_labels")
    total = _Sums(np.asarray(thresholds, np.float64))
    known = np.isfinite(first.memorization) & np.isfinite(second.memorization)
    memorized = [known & (run.memorization >= mem) for run in (first, second)]
    for label in np.unique(first.tr_labels):
        either = (memorized[0] | memorized[1]) & (first.tr_labels == label)
        rows, columns = np.flatnonzero(either), np.flatnonzero(first.tt_labels == label)
        if not (rows.size and columns.size):
            continue
        a, b = (run.influence_with_se(rows, columns)[0] for run in (first, second))
        counted = [
            np.where(of_run[rows, None], values, -np.inf)
            for of_run, values in zip(memorized, (a, b), strict=True)
        ]
        total.add(a, b, *counted)
    return total.agreement()


class _Sums:
    """Adds up parts of an Agreement."""

    def __init__(self, thresholds: np.ndarray):
        self._thresholds = thresholds
        self._rows = np.zeros((5, thresholds.size))

    def add(self, a, b, counted_a, counted_b) -> None:
        """Values a and b, and what of them counts as above a threshold."""
        for k, threshold in enumerate(self._thresholds):
            above, above_too = counted_a >= threshold, counted_b >= threshold
            either = above | above_too
            difference = np.abs(a - b)[either].sum()
            sums = above, above_too, above & above_too, either
            self._rows[:, k] += [*(s.sum() for s in sums), difference]

    def agreement(self) -> Agreement:
        first, second, both, either, difference = self._rows
        with np.errstate(invalid="ignore"):
            jaccard, distance = both / either, difference / either
        counts = first.astype(np.int64), second.astype(np.int64)
        return Agreement(self._thresholds, *counts, jaccard, distance)


def _need_same(first: Run, second: Run, *names: str) -> None:
    for name in names:
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise InputError(
                f"{first.workdir} and {second.workdir} are runs on different data: their "
                f"{name} differ"
            )
