"""Membership inference: was an example in a model's training set?"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from sklearn.metrics import roc_curve

from jaxmem._shared.arguments import whole
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run

ROWS = 4096  # examples whose margins are held at a time


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
        part = slice(start, start + ROWS)
        margin = run.train_margin[:, part].astype(np.float64)
        score = np.zeros(margin.shape[1])
        for side, sign in ((run.included[:, part], 1), (~run.included[:, part], -1)):
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
