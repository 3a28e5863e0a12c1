"""Membership inference: was an example in a model's training set?

Scores of attacks, [K, N] of K targets: high where an example looks like a member. Each
target is a trial of the run, and all other trials are its shadow models. What the scores
are worth is in `jaxmem.privacy`.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from jaxmem._shared.arguments import number, one_of, positive, rows_of
from jaxmem._shared.progress import progress, say
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run
from jaxmem.estimates.search import MEMORY
from jaxmem.estimates.shadows import Asked, Side, blocks, leave_one_out

Attack = Literal["online", "offline"]
Variance = Literal["auto", "fixed", "per-example"]
FEW = 64  # shadow models below which Carlini et al. find a fixed variance better
LOW = 1e-6  # a probability at least, so that ratios of them are finite


def threshold_scores(run: Run, targets=slice(None), queries: bool = False) -> np.ndarray:
    """The global threshold, the baseline: each target's own margins, float32 [K, N].

    Yeom, Giacomelli, Fredrikson & Jha, "Privacy Risk in Machine Learning" (CSF 2018, arXiv
    1709.01604), on margins in place of losses. targets: rows of the run's trials, all by
    default. queries: the mean with those of the copies that --queries stored. Raises
    InputError for targets outside, or without margins.
    """
    targets = rows_of("target", targets, run.trials.size)
    margins = Asked.of(run, queries).margins
    return sum(margin[targets].astype(np.float32) for margin in margins) / len(margins)


def lira_scores(
    run: Run,
    targets=slice(None),
    attack: Attack = "online",
    variance: Variance = "auto",
    memory: float = MEMORY,
    queries: bool = False,
) -> np.ndarray:
    """The likelihood-ratio attack LiRA, every target by all other trials: float32 [K, N].

    Carlini, Chien, Nasr, Song, Terzis & Tramèr, "Membership Inference Attacks From First
    Principles" (S&P 2022, arXiv 2112.03570), section IV-C, with margins m, the paper's
    logit scaling log(p / (1 - p)) of the label's probability p:

    - online (Algorithm 1): log N(m; in) - log N(m; out), in nats, with the median of an
      example's margins over the shadow models that saw it, and over those that did not;
    - offline (equation 4, the one-sided test 1 - P(Z > m) with Z ~ N(out)): -log P(Z > m),
      which ranks alike and still parts what is far out.

    variance: per-example, that of the example's margins on each side; fixed, one for all
    examples and both sides, the mean of those; auto, fixed below 64 shadow models, where
    the paper finds it better. A side on which all margins are equal has no
    variance to divide by: it takes the fixed one, and a line on standard error says of how
    many sides. NaN where a side has too few shadow models: per-example 2, fixed 1.

    queries: also ask about the copies that --queries stored. Their Gaussians have no
    covariances, so that the scores of queries add up; each has its own variance, as in the
    authors' code (in the paper, one for all queries).

    targets: rows of the run's trials, all by default. memory: GiB that may be taken. On
    both sides, variances are divided by n, as the authors' code has it (tensorflow/privacy,
    research/mi_lira_2021); unlike it, sides are not cut to a common number of models, the
    offline attack is one-sided as in the paper, and scores of queries are added, not
    averaged. Its fixed variance is that of all margins about their grand mean; the ranking
    by one target is the same.

    Raises InputError without margins, for targets outside, where memory is too little, and
    where no example has the shadow models that the attack needs.
    """
    targets = rows_of("target", targets, run.trials.size)
    one_of("attack", attack, ("online", "offline"))
    one_of("variance", variance, ("auto", "fixed", "per-example"))
    memory = positive("memory", memory)
    shadows = run.trials.size - 1
    if variance == "auto":
        variance = "fixed" if shadows < FEW else "per-example"
    asked = Asked.of(run, queries)
    parts = list(blocks(run, targets, memory, asked.copies))
    sides_of = functools.partial(_sides, run, asked, targets, attack=attack)
    fixed = functools.cache(
        lambda: np.sqrt(_pooled(map(sides_of, parts), targets.size))[:, None]
    )
    scores = np.full((targets.size, run.tr_labels.size), np.nan, np.float32)
    constant = compared = 0

    def std_of(side: Side) -> np.ndarray:
        nonlocal constant, compared
        compared += side.models.size
        if variance == "fixed":
            return fixed()
        std = side.std()
        if equal := int((std == 0).sum()):
            constant += equal
            return np.where(std == 0, fixed(), std)
        return std

    with progress("attacking", run.tr_labels.size, "examples") as bar:
        for part in parts:
            total: np.ndarray | float = 0.0
            for margin, sides in sides_of(part):
                found = [
                    _log(margin[targets], side, std_of(side), attack) for side in sides
                ]
                total = total + (found[0] if attack == "offline" else found[1] - found[0])
            scores[:, part] = total
            bar.update(part.stop - part.start)
    _check_known(scores, shadows, f"{attack} LiRA with {variance} variance")
    if constant:
        share = constant / compared
        say(
            f"sides on which all margins are equal: {constant:,} ({share:.1%}); there, "
            "LiRA takes the fixed variance"
        )
    return scores


def _log(margin: np.ndarray, side: Side, std: np.ndarray, attack: Attack) -> np.ndarray:
    """-log P(Z > m), or log N(m) up to a constant that both sides share."""
    z = (margin - side.median) / std
    return -norm.logsf(z) if attack == "offline" else -(z**2) / 2 - np.log(std)


_Sides = Iterator[tuple[np.ndarray, list[Side]]]


def _sides(
    run: Run, asked: Asked, targets: np.ndarray, part: slice, attack: Attack
) -> _Sides:
    """Margins [T, n] of some examples, and what the shadow models say: out, then in.

    Of the examples, then of each of their copies.
    """
    included = run.included[:, part]
    wanted = [~included] if attack == "offline" else [~included, included]
    for margin in asked.part(part):
        yield margin, [leave_one_out(margin, side, targets) for side in wanted]


def _pooled(parts: Iterable[_Sides], targets: int) -> np.ndarray:
    """The mean variance of a side of an example: float64 [K], NaN where there is none.

    By degrees of freedom, so that sides of two models count for what they know.
    """
    squares, freedom = np.zeros((2, targets))
    for part in parts:
        for side in (side for _, sides in part for side in sides):
            squares += side.squares.sum(axis=1)
            freedom += (side.models - 1).clip(0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = squares / freedom
    return np.where(variance > 0, variance, np.nan)


class _Means(NamedTuple):
    """Mean probabilities of a block of examples, of shadow models: float64 [K, n]."""

    inside: np.ndarray
    outside: np.ndarray


def rmia_scores(
    run: Run,
    targets=slice(None),
    attack: Attack = "online",
    gamma: float = 1.0,
    a: float = 0.3,
    memory: float = MEMORY,
    queries: bool = False,
) -> np.ndarray:
    """The relative attack RMIA, every target by all other trials: float32 [K, N] in [0, 1].

    Zarifzadeh, Liu & Shokri, "Low-Cost High-Power Membership Inference Attacks" (ICML 2024,
    arXiv 2312.03262), its likelihood ratio and score: the share of a population z with
    (P(x | target) / P(x)) / (P(z | target) / P(z)) >= gamma. The population is the test
    set, with its own labels. P are probabilities of the label; P(x) is the mean of its
    means over the shadow models that saw x and those that did not (online), or
    ((1 + a) out + 1 - a) / 2 of the latter alone (offline, by which P(z) is then corrected
    as well). gamma 1 and a 0.3 are those of the authors' code
    (privacytrustlab/ml_privacy_meter), which then tunes a. Scores are multiples of 1 / E:
    where many are 1, no threshold parts them and few false positives mean no finds; a
    higher gamma parts them.

    queries: also ask about the copies that --queries stored; an example beats z where more
    than half of it and its copies do (the paper's majority vote, as we recall it; their
    code asks once).

    targets, memory, errors: as of `lira_scores`; also for gamma below 1 and a outside
    [0, 1]. NaN where a side that is needed has no shadow model.
    """
    targets = rows_of("target", targets, run.trials.size)
    one_of("attack", attack, ("online", "offline"))
    gamma, a = number("gamma", gamma, 1), number("a", a, 0, 1)
    others = run.trials.size - 1
    known = expit(run.test_margin.astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (known.sum(axis=0) - known[targets]) / others
    mean = mean if attack == "online" else ((1 + a) * mean + 1 - a) / 2
    ratios = np.sort(known[targets] / mean.clip(LOW), axis=1)  # of z, [K, E]
    scores = np.full((targets.size, run.tr_labels.size), np.nan, np.float32)
    asked = Asked.of(run, queries)
    for part in blocks(run, targets, positive("memory", memory), asked.copies):
        votes = []
        for margin in asked.part(part):
            chance = expit(margin)
            means = _mean_chances(chance, run.included[:, part], targets)
            marginal = (
                (means.inside + means.outside) / 2
                if attack == "online"
                else ((1 + a) * means.outside + 1 - a) / 2
            )
            votes.append(chance[targets] / np.maximum(marginal, LOW))
        # The highest ratio that more than half of them reach.
        majority = np.sort(votes, axis=0)[(len(votes) - 1) // 2]
        for row, (x, z) in enumerate(zip(majority, ratios, strict=True)):
            share = np.searchsorted(z, x / gamma, side="right") / z.size
            scores[row, part] = np.where(np.isnan(x), np.nan, share)
    _check_known(scores, others, f"{attack} RMIA")
    return scores


def _mean_chances(chance, included, targets) -> _Means:
    means = []
    for side in (included, ~included):
        own = side[targets]
        total = (chance * side).sum(axis=0) - chance[targets] * own
        count = side.sum(axis=0) - own
        with np.errstate(divide="ignore", invalid="ignore"):
            means.append(np.where(count > 0, total / count, np.nan))
    return _Means(*means)


def _check_known(scores: np.ndarray, shadows: int, attack: str) -> None:
    if scores.size and not np.isfinite(scores).any():
        raise InputError(
            f"{shadows} shadow models are too few for {attack}, for all examples: train "
            "more trials"
        )
