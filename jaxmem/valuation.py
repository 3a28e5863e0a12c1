"""What else the same trials say of training examples, from the bits that they left.

Each takes runs whose subsets were drawn at random, and trains nothing.
"""

from collections.abc import Sequence

import numpy as np

from jaxmem.errors import InputError
from jaxmem.results import Run


def c_scores(runs: Sequence[Run]) -> np.ndarray:
    """C-scores: how consistently an example is predicted from others, float64 [N].

    Jiang, Zhang, Talwar & Mozer, "Characterizing Structural Regularities of Labeled Data in
    Overparameterized Models" (ICML 2021, arXiv 2002.03206): the share of trials that get an
    example right among those that excluded it, averaged over runs of several subset
    fractions; theirs are 0.1, 0.2, …, 0.9. NaN where some run never excluded the example.
    Raises InputError if the runs are of different training sets.
    """
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
    counts = run.memorization_counts
    with np.errstate(invalid="ignore"):
        return np.asarray(counts.hits_out, np.float64) / counts.n_out


def banzhaf_values(run: Run) -> np.ndarray:
    """Mean test accuracy of the trials with an example, minus those without: float64 [N].

    The maximum-sample-reuse estimate of Wang & Jia, "Data Banzhaf: A Robust Data Valuation
    Framework for Machine Learning" (AISTATS 2023, arXiv 2205.15466). The Banzhaf value
    itself is of subsets that include every example with probability 1/2: give a run of
    subset_fraction 0.5; of others it is the same difference at their fraction. It is also
    the mean influence over the test set. NaN where an example was never in or never out.
    """
    accuracy = run.test_correct.mean(axis=1, dtype=np.float64)
    n_in = run.memorization_counts.n_in.astype(np.float64)
    n_out = run.trials.size - n_in
    inside = np.zeros(n_in.size)
    for included, value in zip(run.included, accuracy, strict=True):
        inside += np.where(included, value, 0)
    with np.errstate(invalid="ignore"):
        return inside / n_in - (accuracy.sum() - inside) / n_out
