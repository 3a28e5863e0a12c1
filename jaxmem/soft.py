"""Memorization and influence of probabilities instead of right or wrong; margins of trials.

The chance that a model gives the label is the sigmoid of its margin. Where the paper counts
right answers, these average that chance: the same differences, of a smoother quantity.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import roc_curve

from jaxmem.arguments import rows_of, whole
from jaxmem.errors import InputError
from jaxmem.results import Run

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
        some = slice(start, start + ROWS)
        chance = expit(run.train_margin[:, some].astype(np.float64))
        inside = run.included[:, some].astype(np.float64)
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
    if not run.config["probabilities"]:
        raise InputError(
            f"{run.workdir} stored no probabilities: run it with --probabilities"
        )
    sums = np.zeros((run.tr_labels.size, run.config["num_classes"]))
    for start in range(0, run.trials.size, TRIALS):
        some = slice(start, start + TRIALS)
        block = run.store.read("held_out_probability", run.trials[some])
        for included, probability in zip(run.included[some], block, strict=True):
            excluded = np.flatnonzero(~included)[: len(probability)]
            sums[excluded] += probability[: excluded.size]
    with np.errstate(invalid="ignore"):
        # Not by n_out: float16 leaves sums a little beside 1.
        return sums / sums.sum(axis=1, keepdims=True)


def lira_scores(run: Run, target: int) -> np.ndarray:
    """The likelihood-ratio attack on one trial, by all others as shadow models: [N].

    Carlini, Chien, Nasr, Song, Terzis & Tramèr, "Membership Inference Attacks From First
    Principles" (S&P 2022, arXiv 2112.03570): log N(margin; in) - log N(margin; out), with
    mean and variance of an example's margins over the trials that saw it and those that did
    not. High where the target's margin looks like that of a member; compare with
    run.included[target]. target: a row of the run's trials. NaN where fewer than two other
    trials are on a side. Raises InputError for a target outside, or without margins.

    Unlike the paper's code: means in place of medians, n - 1 in the variance, one variance
    an example (theirs is global where shadow models are few), one query an example (theirs
    has augmented copies), and no offline attack.
    """
    target = whole("target", target)
    if not 0 <= target < run.trials.size:
        raise InputError(f"target {target} is outside 0 … {run.trials.size - 1}")
    others = np.arange(run.trials.size) != target
    scores = []
    for start in range(0, run.tr_labels.size, ROWS):
        some = slice(start, start + ROWS)
        margin = run.train_margin[:, some].astype(np.float64)
        score = 0.0
        for side, sign in ((run.included[:, some], 1), (~run.included[:, some], -1)):
            side = side & others[:, None]
            n = side.sum(axis=0)
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = np.where(side, margin, 0).sum(axis=0) / n
                square = np.where(side, margin - mean, 0) ** 2
                std = np.sqrt(square.sum(axis=0) / (n - 1)) + 1e-30
                likelihood = norm.logpdf(margin[target], mean, std)
            score = score + sign * np.where(n > 1, likelihood, np.nan)
        scores.append(score)
    return np.concatenate(scores)


class Roc(NamedTuple):
    """A receiver operating characteristic: float64 [P] each, both rising from 0 to 1."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray


def membership_roc(scores: np.ndarray, members: np.ndarray) -> Roc:
    """How well scores tell members from others, at every threshold.

    scores: float [...] of any number of examples and targets; members: bool [...]. NaN
    scores take no part. Raises InputError if there are no members or no others.
    """
    known = np.isfinite(scores)
    members = members[known]
    if members.all() or not members.any():
        raise InputError(f"{members.sum()} members and {(~members).sum()} others: no rate")
    return Roc(*roc_curve(members, scores[known], drop_intermediate=False)[:2])


def true_positive_rate(
    scores: np.ndarray, members: np.ndarray, false_positive_rate: float = 0.001
) -> float:
    """The share of members found at a false-positive rate, as Carlini et al. report it.

    That is, at the last point of `membership_roc` not beyond it; 0.1 % by default.
    """
    roc = membership_roc(scores, members)
    return float(
        roc.true_positive_rate[roc.false_positive_rate <= false_positive_rate].max()
    )
