"""Memorization and influence computed from the probability of the label.

That is the sigmoid of the margin. Where the paper counts correct answers, these average it:
the same differences, of a smoother quantity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import expit

from jaxmem._shared.arguments import rows_of
from jaxmem.errors import InputError

if TYPE_CHECKING:
    from jaxmem.estimates.results import Run

ROWS = 4096  # examples whose probabilities are held at a time
TRIALS = 16  # trials likewise, of all classes


class Soft(NamedTuple):
    """A difference of mean probabilities, and its standard error."""

    value: np.ndarray  # float64
    se: np.ndarray  # float64, of Welch: sqrt(var_in / n_in + var_out / n_out)


def soft_memorization(run: Run) -> Soft:
    """mean[p(label) | included] - mean[p(label) | excluded] of training examples: [N].

    NaN where fewer than two trials are on a side. Raises InputError if the run stored no
    margins.
    """
    parts = []
    for start in range(0, run.tr_labels.size, ROWS):
        part = slice(start, start + ROWS)
        chance = expit(run.train_margin[:, part].astype(np.float64))
        inside = run.included[:, part].astype(np.float64)
        sums = [(inside * x).sum(axis=0) for x in (chance, chance**2)]
        totals = [x.sum(axis=0) for x in (chance, chance**2)]
        parts.append(_difference(inside.sum(axis=0), len(inside), sums, totals))
    return Soft(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def soft_influence(run: Run, train_rows) -> Soft:
    """The same of test examples, for some training rows: [len(train_rows), E]."""
    rows = rows_of("training", train_rows, run.tr_labels.size)
    inside = run.included[:, rows].astype(np.float64)
    chance = expit(run.test_margin.astype(np.float64))
    sums = [inside.T @ x for x in (chance, chance**2)]
    totals = [x.sum(axis=0) for x in (chance, chance**2)]
    return Soft(*_difference(inside.sum(axis=0)[:, None], len(inside), sums, totals))


def _difference(n_in, trials: int, sums, totals) -> tuple[np.ndarray, np.ndarray]:
    n_out = trials - n_in
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_in, mean_out = sums[0] / n_in, (totals[0] - sums[0]) / n_out
        square_in, square_out = sums[1] / n_in, (totals[1] - sums[1]) / n_out
        variance = (square_in - mean_in**2).clip(0) / (n_in - 1)
        variance += (square_out - mean_out**2).clip(0) / (n_out - 1)
    known = (n_in > 1) & (n_out > 1)
    value = np.where(known, mean_in - mean_out, np.nan)
    return value, np.where(known, np.sqrt(variance), np.nan)


def out_of_sample_probabilities(run: Run) -> np.ndarray:
    """Mean class probabilities by the trials that did not see an example: float64 [N, K].

    As `cleanlab.filter.find_label_issues(labels, pred_probs)` wants them (Northcutt, Jiang
    & Chuang, "Confident Learning", JAIR 2021, arXiv 1911.00068), whose usual source is
    cross-validation: here one prediction is the mean of about 30 % of the trials. Rows sum
    to 1; NaN where no trial excluded an example. Raises InputError if the run stored no
    probabilities.
    """
    if not run.config.probabilities:
        raise InputError(
            f"{run.workdir} stored no probabilities: run it with --probabilities"
        )
    sums = np.zeros((run.tr_labels.size, run.config.num_classes))
    for start in range(0, run.trials.size, TRIALS):
        part = slice(start, start + TRIALS)
        block = run.reader.read("held_out_probability", run.trials[part])
        for included, probability in zip(run.included[part], block, strict=True):
            excluded = np.flatnonzero(~included)[: len(probability)]
            sums[excluded] += probability[: excluded.size]
    with np.errstate(invalid="ignore"):
        # Not by n_out: float16 leaves sums a little beside 1.
        return sums / sums.sum(axis=1, keepdims=True)
