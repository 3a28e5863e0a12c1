"""What else the same trials say of training examples, from the bits that they left.

Each takes runs whose subsets were drawn at random, and trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.estimates.counts import Counts, rate_difference
from jaxmem.estimates.grouping import row_counts, units

if TYPE_CHECKING:
    from jaxmem.estimates.results import Run

ROWS = 8192  # training examples whose bits are unpacked at a time; a multiple of 8


def c_scores(runs: Sequence[Run]) -> np.ndarray:
    """C-scores: how consistently an example is predicted from others, float64 [N].

    Jiang, Zhang, Talwar & Mozer, "Characterizing Structural Regularities of Labeled Data in
    Overparameterized Models" (ICML 2021, arXiv 2002.03206): the share of trials that get an
    example right among those that excluded it, averaged over runs of several subset
    fractions; theirs are 0.1, 0.2, …, 0.9. NaN where some run never excluded the example.
    Raises InputError if the runs are of different training sets.
    """
    if not runs:
        raise InputError("no runs to average")
    first = runs[0]
    for run in runs:
        same = np.array_equal(run.tr_ids, first.tr_ids)
        if not (same and np.array_equal(run.tr_labels, first.tr_labels)):
            raise InputError(
                f"{first.workdir} and {run.workdir} are runs on different training sets"
            )
    return np.mean([held_out_accuracy(run) for run in runs], axis=0)


def held_out_accuracy(run: Run) -> np.ndarray:
    """The share of right predictions among trials that excluded an example: float64 [N].

    The C-score at one subset fraction, and the data-OOB value of Kwon & Zou ("Data-OOB:
    Out-of-bag Estimate as a Simple and Efficient Data Value", ICML 2023, arXiv 2304.07718)
    with subsets in place of bootstrap samples. NaN where no trial excluded the example.
    """
    counts = row_counts(run)
    with np.errstate(invalid="ignore"):
        return np.asarray(counts.hits_out, np.float64) / counts.n_out


class TotalInfluence(NamedTuple):
    """Sums of infl, over all classes."""

    # float64 [N]: a training example's, or its group's, summed over the test set
    of_train: np.ndarray
    on_test: np.ndarray  # float64 [E]: on a test example, of all with an estimate
    relative: bool  # to the mean of the other examples: where subsets have one size


def fixed_size(run: Run) -> bool:
    """Whether all subsets are of one size, as of every sampling but bernoulli's coins."""
    included, _ = run.packed()
    sizes = (
        included.columns(units(run)).sums()
        if run.tr_groups is not None
        else included.sums()
    )
    return bool((sizes == sizes[:1]).all())


def total_influence(run: Run) -> TotalInfluence:
    """Row and column sums of the influence matrix, without the matrix.

    infl is linear in the outcomes, so a row's sum is the difference of mean numbers of
    right test answers with and without the example; a column's is each trial's sum of
    weights 1 / n_in (it saw an example) or -1 / n_out (it did not), where it is right.
    Rows are exact up to one rounding. NaN where an example was never in or never out.

    In subsets of one size an example always stands in the place of another: sums are then
    `relative` to the mean of the others, and their sign says whether it helps more or less
    than another would. Sums of their own come from `sampling="bernoulli"`.
    """
    n, e = run.tr_labels.size, run.tt_labels.size
    trials = run.trials.size
    included, test_correct = run.packed()
    correct, unit = test_correct.sums(), np.isin(np.arange(n), units(run))
    of_train, weights = np.empty(n), np.zeros(trials)
    for start in range(0, n, ROWS):
        stop = min(start + ROWS, n)
        inside = included.part(start, stop).mask().astype(np.float64)
        # Whole numbers below 2**53: exact.
        n_in, hits_in = inside.sum(axis=0), correct @ inside
        counts = Counts.from_totals(hits_in, n_in, correct.sum(), trials)
        of_train[start:stop] = rate_difference(counts)
        known = (0 < n_in) & (n_in < trials) & unit[start:stop]
        n_in, inside = n_in[known], inside[:, known]
        n_out = trials - n_in
        weights += inside @ (1 / n_in + 1 / n_out) - (1 / n_out).sum()
    on_test = np.zeros(8 * test_correct.packed.shape[1])
    for bits, weight in zip(test_correct.packed, weights, strict=True):
        on_test += weight * np.unpackbits(bits)
    return TotalInfluence(of_train, on_test[:e], fixed_size(run))


def banzhaf_values(run: Run) -> np.ndarray:
    """Mean test accuracy of the trials with an example, minus those without: float64 [N].

    The maximum-sample-reuse estimate of Wang & Jia, "Data Banzhaf: A Robust Data Valuation
    Framework for Machine Learning" (AISTATS 2023, arXiv 2205.15466), of subsets that
    include every example by a coin of its own: `sampling="bernoulli"`. With
    subset_fraction 0.5 it is the Banzhaf value, with others the same difference at theirs.
    It is also the mean influence over the test set. NaN where an example was never in or
    never out. Raises InputError for subsets of one size, where it would be relative to
    the mean of the others: 0 for all where each example adds as much.
    """
    if fixed_size(run):
        raise InputError(
            f"the subsets of {run.workdir} are all of one size, which give no Banzhaf "
            'values: train with --sampling=bernoulli (sampling="bernoulli")'
        )
    return total_influence(run).of_train / run.tt_labels.size
