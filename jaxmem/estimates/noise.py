"""How many labels are wrong, and with what chance each one is.

A mixture: a share `rate` of the examples was given any other label, all equally likely, the
rest the label that a judge would give. Held-out models are that judge, with a margin s for
the given label, and say that it is right with chance sigmoid(slope · s), where the slope
makes up for their being too sure or not sure enough:

    P[label | s] = (1 - rate) sigmoid(slope s) + rate (1 - sigmoid(slope s)) / (K - 1)

Rate and slope are those of the highest likelihood. Examples that are merely hard have
margins about 0, which the slope explains; what is left at the far end is noise. The mixture
is that of Sukhbaatar et al. (arXiv 1406.2080) with uniform noise, fitted to few numbers.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

STEP = 1 / 16  # to which margins are rounded: the likelihood then needs few numbers
DRAWS = 200  # refits to resampled examples
RATES = 0.001, 0.01, 0.03, 0.1, 0.2, 0.4  # from which the search starts
SLOPES = 0.25, 0.5, 1.0, 2.0, 4.0
BOUNDS = (-14, 4), (-3, 3)  # logit of the rate, log of the slope
MOST = 0.5  # share of wrong labels, beyond which no judge can be trained


class Noise(NamedTuple):
    """The mixture, as fitted."""

    rate: float  # share of wrong labels
    slope: float  # of the chance to be right, on the margin
    num_classes: int

    def chance_wrong(self, margin: np.ndarray) -> np.ndarray:
        """The chance that a label is wrong, by its mean held-out margin: float64 [N].

        NaN margins have the chance of any example, the rate.
        """
        odds = self.slope * np.asarray(margin, np.float64)
        wrong = self.rate * expit(-odds) / (self.num_classes - 1)
        chance = wrong / (wrong + (1 - self.rate) * expit(odds))
        return np.where(np.isnan(odds), self.rate, chance)


class Number(NamedTuple):
    """How many labels are wrong, with an interval of 95 %."""

    estimate: float
    low: int
    high: int
    holds: bool  # False where half of the labels may be wrong: then nothing is known


def fit_noise(margin: np.ndarray, num_classes: int) -> Noise:
    """The mixture of the mean held-out margins, float64 [N]; NaN ones are left out."""
    return _fit(*_binned(margin), num_classes)


def number_wrong(margin: np.ndarray, num_classes: int, seed: int = 0) -> Number:
    """How many of N labels are wrong, by their mean held-out margins, float64 [N].

    The interval is of what may have happened: the mixture is fitted again to resampled
    examples, and each example is then wrong or not by its chance.
    """
    value, count = _binned(margin)
    noise = _fit(value, count, num_classes)
    rng = np.random.default_rng([seed, margin.size])
    drawn = []
    for _ in range(DRAWS):
        other = _fit(value, rng.poisson(count), num_classes, noise)
        drawn.append(rng.binomial(count, other.chance_wrong(value)).sum())
    scale = margin.size / count.sum()
    low, high = scale * np.quantile(drawn, (0.025, 0.975))
    estimate = float(noise.chance_wrong(margin).sum())
    holds = bool(high <= MOST * margin.size)
    return Number(estimate, int(np.floor(low)), int(np.ceil(high)), holds)


def _binned(margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Margins that are known, to the nearest STEP, and how many examples have each."""
    known = margin[~np.isnan(margin)]
    value, count = np.unique(np.round(known / STEP), return_counts=True)
    return value * STEP, count


def _fit(
    margin: np.ndarray, count: np.ndarray, num_classes: int, start: Noise | None = None
) -> Noise:
    """The highest likelihood; from `start`, or the best of a grid."""

    def loss(parameters: np.ndarray) -> float:
        rate, odds = expit(parameters[0]), np.exp(parameters[1]) * margin
        right = np.log1p(-rate) + log_expit(odds)
        wrong = np.log(rate / (num_classes - 1)) + log_expit(-odds)
        return -float((count * np.logaddexp(right, wrong)).sum()) / count.sum()

    starts = [start[:2]] if start else itertools.product(RATES, SLOPES)
    first = min((np.array([logit(rate), np.log(s)]) for rate, s in starts), key=loss)
    found = minimize(loss, first, bounds=BOUNDS, options={"maxls": 50}).x
    found = min(found, first, key=loss)
    return Noise(float(expit(found[0])), float(np.exp(found[1])), num_classes)
