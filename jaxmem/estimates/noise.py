"""How many labels are wrong, and with what chance each one is.

A mixture: a share `rate` of the examples was given any other label, all equally likely, the
rest the label that a judge would give. Models that saw few wrong labels, and not this one,
are that judge: by their mean margin s of the given label it is right with the chance
sigmoid(s), so that

    P[label | s] = (1 - rate) sigmoid(s) + rate (1 - sigmoid(s)) / (K - 1)

The rate is that of the highest likelihood, which has one maximum. Merely hard examples have
margins about 0, as models that err are not sure; what is sure and contradicts is noise. How
sure models are cannot be told apart from how much noise there is: were the slope of the
margins fitted as well, models that have learnt the noise would explain all of it. So it is
1, and the interval allows for others (`experiments/benchmark_labels.py`, number).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

STEP = 1 / 16  # to which margins are rounded: the likelihood then needs few numbers
DRAWS = 400  # of what may have happened
SLOPE_SD = 0.35  # of the log of the slope: models may be twice or half as sure
STEPS = 200  # of the fit
MOST = 0.5  # share of wrong labels, beyond which no judge can be trained


class Number(NamedTuple):
    """How many labels are wrong, with an interval of 95 %."""

    estimate: float
    low: int
    high: int
    holds: bool  # False where half of the labels may be wrong: then nothing is known


def noise_rate(margin: np.ndarray, num_classes: int) -> float:
    """The share of wrong labels, by mean held-out margins, float64 [N]; NaN: not known."""
    value, count = _binned(margin)
    return float(_fit(value, count, num_classes)[0])


def chance_wrong(
    margin: np.ndarray, rate: np.ndarray | float, num_classes: int, slope=1.0
) -> np.ndarray:
    """The chance that a label is wrong, by its mean held-out margin: float64 [N].

    NaN margins have the chance of any example, the rate.
    """
    right = expit(slope * np.asarray(margin, np.float64))
    wrong = rate * (1 - right) / (num_classes - 1)
    with np.errstate(invalid="ignore"):
        chance = wrong / (wrong + (1 - rate) * right)
    return np.where(np.isnan(right), rate, chance)


def number_wrong(margin: np.ndarray, num_classes: int) -> Number:
    """How many of N labels are wrong, by their mean held-out margins, float64 [N].

    The interval is of what may have happened: other examples, models that are more or less
    sure (SLOPE_SD), the rate by these, and then each label wrong or not by its chance.
    """
    value, count = _binned(margin)
    rng = np.random.default_rng(margin.size)
    counts = rng.poisson(count, (DRAWS, count.size))
    slopes = np.exp(SLOPE_SD * rng.standard_normal((DRAWS, 1)))
    rates = _fit(value, counts, num_classes, slopes)
    chances = chance_wrong(value, rates, num_classes, slopes)
    scale = margin.size / count.sum()
    drawn = scale * rng.binomial(count, chances).sum(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    rate = noise_rate(margin, num_classes)
    estimate = float(chance_wrong(margin, rate, num_classes).sum())
    return Number(
        estimate, int(low), int(np.ceil(high)), bool(estimate <= MOST * margin.size)
    )


def _binned(margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Margins that are known, to the nearest STEP, and how many examples have each."""
    known = margin[~np.isnan(margin)]
    value, count = np.unique(np.round(known / STEP), return_counts=True)
    return value * STEP, count


def _fit(margin: np.ndarray, count: np.ndarray, num_classes: int, slope=1.0) -> np.ndarray:
    """Rates [..., 1] of counts [..., B] of margins [B], by expectation-maximisation."""
    rate = np.full((*count.shape[:-1], 1), 0.1)
    total = np.maximum(count.sum(axis=-1, keepdims=True), 1)
    for _ in range(STEPS):
        chance = chance_wrong(margin, rate, num_classes, slope)
        rate = (count * chance).sum(axis=-1, keepdims=True) / total
    return rate
