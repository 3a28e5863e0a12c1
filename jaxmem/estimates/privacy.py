"""What an attack on membership is worth: rates, curves, exposure, a bound on epsilon."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import beta
from sklearn.metrics import roc_curve

from jaxmem._shared.arguments import number, positive, whole
from jaxmem.errors import InputError
from jaxmem.estimates.rates import CELLS, Ordered, resampled
from jaxmem.estimates.search import MEMORY
from jaxmem.estimates.statistics import Interval

RATES = (1e-3, 1e-5)  # false-positive rates at which attacks are reported
GRID = 200  # points of a curve's bands
SPLIT = 2101  # of the examples that choose a threshold
BYTES = 48  # that a score takes while it is resampled


class Roc(NamedTuple):
    """A receiver operating characteristic: float64 [P] each, both rising from 0 to 1."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray


class AttackRates(NamedTuple):
    """How well an attack tells members from others; intervals are bootstrapped."""

    auc: Interval
    balanced_accuracy: Interval  # at the best threshold, chosen on the same scores
    true_positive_rate: dict[float, Interval]  # by false-positive rate
    roc: Roc  # at GRID false-positive rates, spaced logarithmically
    low: np.ndarray  # float64 [GRID], band of its true-positive rates
    high: np.ndarray
    members: int
    others: int  # 1 / others is the lowest false-positive rate that can be told from 0


class EpsilonBound(NamedTuple):
    """A lower bound on epsilon, by one threshold."""

    epsilon: float  # 0 where the attack shows none
    level: float  # confidence
    false_positive_rate: float  # at the threshold, on the half that gave the bound
    true_positive_rate: float


def membership_roc(scores: np.ndarray, members: np.ndarray) -> Roc:
    """How well scores tell members from others, at every threshold.

    scores: float [...] of any number of examples and targets; members: bool [...]. NaN
    scores take no part. Raises InputError if there are no members or no others, and for
    arrays of different shapes.
    """
    scores, members = _known(scores, members)
    return Roc(*roc_curve(members, scores, drop_intermediate=False)[:2])


def true_positive_rate(
    scores: np.ndarray, members: np.ndarray, false_positive_rate: float = 0.001
) -> float:
    """The share of members found at a false-positive rate, as Carlini et al. report it.

    That is, at the last point of `membership_roc` not beyond it; 0.1 % by default.
    """
    roc = membership_roc(scores, members)
    within = roc.false_positive_rate <= false_positive_rate
    return float(roc.true_positive_rate[within].max())


def measure_attack(
    scores: np.ndarray,
    members: np.ndarray,
    rates: Sequence[float] = RATES,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    memory: float = MEMORY,
) -> AttackRates:
    """AUC, balanced accuracy, true-positive rates and the ROC, each with an interval.

    scores: float [K, N] of K targets and N examples; members: bool [K, N]. Scores of one
    model and of one example depend on each other, so both are resampled: targets and
    examples, each with replacement (the pigeonhole bootstrap: Owen, Annals of Applied
    Statistics 1, 2007), which is wide rather than narrow; of one target, examples alone.
    Intervals are percentiles. memory: GiB that resampling may take, beside sorted scores;
    it changes no result. Raises InputError for other shapes, no members or others, and a
    level outside (0, 1).
    """
    scores, members = _matrix(scores, members)
    resamples, level = whole("resamples", resamples, least=1), _level(level)
    ordered = Ordered.of(scores, members)
    _need_both(ordered.members.size, ordered.others.size)
    grid = np.append(
        np.geomspace(1 / max(2, (~members).sum()), 1, GRID - len(rates)), [*rates]
    )
    order = np.argsort(grid)
    found = np.append(
        [ordered.auc(), ordered.balanced_accuracy()], ordered.true_positive_rates(grid)
    )
    rng = np.random.default_rng(seed)
    at_once = int(min(CELLS, positive("memory", memory) * 2**30 // BYTES))
    drawn = resampled(scores, members, ordered.others, grid, resamples, rng, at_once)
    edges = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.nanquantile(drawn, edges, axis=0)
    low, high = np.minimum(low, found), np.maximum(high, found)
    intervals = [
        Interval(*map(float, parts)) for parts in zip(found, low, high, strict=True)
    ]
    return AttackRates(
        auc=intervals[0],
        balanced_accuracy=intervals[1],
        true_positive_rate=dict(zip(rates, intervals[-len(rates) :], strict=True)),
        roc=Roc(grid[order], found[2:][order]),
        low=low[2:][order],
        high=high[2:][order],
        members=ordered.members.size,
        others=ordered.others.size,
    )


def exposure(
    scores: np.ndarray, members: np.ndarray, false_positive_rate: float = 0.001
) -> np.ndarray:
    """How often each example is found where it was a member: float64 [N].

    The share of the targets that saw it whose score is above the threshold at which the
    attack on all examples, float [K, N], has this false-positive rate. NaN where no target
    saw it.
    """
    scores, members = _matrix(scores, members)
    rate = number("false_positive_rate", false_positive_rate, 0, 1)
    known = np.isfinite(scores) & members
    values, seen = _known(scores, members)
    others = np.sort(values[~seen])[::-1]
    cut = others[min(int(rate * others.size), others.size - 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return ((scores > cut) & known).sum(axis=0) / known.sum(axis=0)


def epsilon_lower_bound(
    scores: np.ndarray,
    members: np.ndarray,
    level: float = 0.95,
    delta: float = 1e-5,
    seed: int = 0,
) -> EpsilonBound:
    """A lower bound on the epsilon of (epsilon, delta)-differential privacy, in nats.

    Whatever is (epsilon, delta)-private keeps TPR <= e^epsilon FPR + delta and 1 - FPR <=
    e^epsilon (1 - TPR) + delta for every attack (Kairouz, Oh & Viswanath 2015). The rates'
    bounds are those of Clopper & Pearson, as in Jagielski, Ullman & Oprea (NeurIPS 2020,
    arXiv 2006.07709) and Nasr et al. (S&P 2021, arXiv 2101.04535); each at half of
    1 - level, so that both hold at `level`. The threshold is chosen on a random half of the
    examples and the bound is of the other half, so that choosing costs no confidence.

    scores: float [K, N]; members: bool [K, N]. As in those papers, scores are taken as
    independent. Scores of one model are not quite, and scores of an example in many models
    neither: for a proof, give one example of each target. Raises InputError as
    `measure_attack`, and for delta outside [0, 1].
    """
    scores, members = _matrix(scores, members)
    level, delta = _level(level), number("delta", delta, 0, 1)
    # Streams of their own: default_rng(0) may have drawn the members.
    order = np.random.default_rng([seed, SPLIT]).permutation(scores.shape[-1])
    chosen = order < scores.shape[-1] // 2
    values, seen = _known(scores[..., chosen], members[..., chosen])
    false, true, cuts = roc_curve(seen, values, drop_intermediate=True)
    bounds = _bounds(false, true, (~seen).sum(), seen.sum(), level, delta)
    cut = cuts[int(np.argmax(bounds))]
    values, seen = _known(scores[..., ~chosen], members[..., ~chosen])
    false, true = (values[~seen] >= cut).mean(), (values[seen] >= cut).mean()
    bound = float(_bounds(false, true, (~seen).sum(), seen.sum(), level, delta))
    return EpsilonBound(bound, level, float(false), float(true))


def _bounds(false, true, others: int, members: int, level: float, delta: float):
    """epsilon at rates, of numbers of others and members; at least 0."""
    tail = (1 - level) / 2
    hits, alarms = np.rint(true * members), np.rint(false * others)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(hits > 0, beta.ppf(tail, hits, members - hits + 1), 0)
        most = np.where(alarms < others, beta.isf(tail, alarms + 1, others - alarms), 1)
        one = np.log((least - delta) / most)
        other = np.log((1 - most - delta) / (1 - least))
    return np.fmax(np.fmax(one, other), 0)


def _alike(scores, members) -> tuple[np.ndarray, np.ndarray]:
    scores, members = np.asarray(scores), np.asarray(members, bool)
    if scores.shape != members.shape:
        raise InputError(f"scores of shape {scores.shape}, members of {members.shape}")
    return scores, members


def _matrix(scores, members) -> tuple[np.ndarray, np.ndarray]:
    scores, members = _alike(scores, members)
    if scores.ndim != 2:
        raise InputError(f"scores of shape {scores.shape}: expected [targets, examples]")
    return scores, members


def _known(scores, members) -> tuple[np.ndarray, np.ndarray]:
    """The scores that are known, flat, and whether they are members'."""
    scores, members = _alike(scores, members)
    known = np.isfinite(scores)
    members = members[known]
    _need_both(int(members.sum()), int((~members).sum()))
    return scores[known], members


def _need_both(members: int, others: int) -> None:
    if not (members and others):
        raise InputError(f"{members} members and {others} others: no rate")


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"level {level} is outside (0, 1)")
    return float(level)
