"""What one asks of estimates: do two runs agree, and what happens without an example?

Feldman & Zhang 2020, arXiv 2008.03703: consistency across architectures (Figure 7) and the
marginal utility of what is removed (Figure 2).
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from jaxmem.errors import InputError
from jaxmem.results import Run


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
        rows, columns = np.nonzero(either)[0], np.nonzero(first.tt_labels == label)[0]
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


class Removal(NamedTuple):
    """Inclusion masks of R trainings without some examples, and without as many others."""

    chosen: np.ndarray  # bool [R, N], all rows the same
    random: np.ndarray  # bool [R, N], drawn anew in every row


def removal_masks(removed: np.ndarray, repetitions: int, seed: int = 0) -> Removal:
    """Leave out the examples of removed, bool [N], or as many at random.

    Random ones come from all N examples, the removed among them, as in the paper's
    Figure 2. They depend on (seed, repetition, number removed) alone. Raises InputError if
    nothing is left.
    """
    removed = np.asarray(removed, bool)
    n, count = removed.size, int(removed.sum())
    if count == n:
        raise InputError(f"all {n} examples would be removed; take a higher threshold")
    random = np.ones((repetitions, n), bool)
    for repetition, row in enumerate(random):
        rng = np.random.default_rng([seed, repetition, count])
        row[rng.choice(n, count, replace=False)] = False
    return Removal(np.tile(~removed, (repetitions, 1)), random)


class Detection(NamedTuple):
    """How well a score finds some of the examples."""

    auc: float  # chance that one of them scores above one of the others; ties count half
    precision: float  # share of them among the K highest scores, where K is their number


def detection(score: np.ndarray, wanted: np.ndarray) -> Detection:
    """How well score, float [N], finds wanted, bool [N]; NaN scores rank lowest.

    The area under the ROC curve by ranks (Mann & Whitney), and precision at the number of
    wanted ones, ties there in expectation. Raises InputError unless some, but not all, are
    wanted.
    """
    score = np.nan_to_num(np.asarray(score, np.float64), nan=-np.inf)
    wanted = np.asarray(wanted, bool)
    count = int(wanted.sum())
    if not 0 < count < wanted.size:
        raise InputError(f"{count} of {wanted.size} examples are wanted: nothing to detect")
    ranks = rankdata(score)[wanted].sum()
    pairs = count * (wanted.size - count)
    auc = (ranks - count * (count + 1) / 2) / pairs
    cut = np.sort(score)[-count]
    above, level = score > cut, score == cut
    share = (count - above.sum()) / level.sum()
    precision = (wanted[above].sum() + share * wanted[level].sum()) / count
    return Detection(float(auc), float(precision))
