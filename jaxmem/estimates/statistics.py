"""The uncertainty of estimates: errors, intervals, tests."""

from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import hypergeom, norm

from jaxmem.errors import InputError
from jaxmem.estimates.counts import Counts

Alternative = Literal["greater", "less"]


class Interval(NamedTuple):
    """An estimate and its confidence interval."""

    value: float
    low: float
    high: float


def standard_error(counts: Counts) -> np.ndarray:
    """Standard error of rate_difference(counts): float64; NaN where that is NaN.

    sqrt(p(1-p)/(n+2) + q(1-q)/(m+2)) with p = (hits_in + 1)/(n + 2), n = n_in, and q, m
    likewise for the excluded side: one success and one failure are added to each side
    (Agresti & Caffo, The American Statistician 54, 2000). The plain binomial formula says 0
    wherever models were always correct, which is where most examples are.
    """
    hits_in, n_in, hits_out, n_out = (np.asarray(c, np.float64) for c in counts)

    def variance(hits, n):
        rate = (hits + 1) / (n + 2)
        return rate * (1 - rate) / (n + 2)

    error = np.sqrt(variance(hits_in, n_in) + variance(hits_out, n_out))
    return np.where((n_in > 0) & (n_out > 0), error, np.nan)


def interval(counts: Counts, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Confidence interval (low, high) of rate_difference(counts): float64; NaN likewise.

    Newcombe's hybrid score interval (method 10 of Statistics in Medicine 17, 1998): the
    score intervals of both sides (Wilson 1927), joined. It stays inside [-1, 1] and holds
    where rates are 0 or 1. Raises InputError unless 0 < level < 1.
    """
    if not 0 < level < 1:
        raise InputError(f"level {level} is outside (0, 1)")
    z = norm.isf((1 - level) / 2)
    hits_in, n_in, hits_out, n_out = (np.asarray(c, np.float64) for c in counts)
    known = (n_in > 0) & (n_out > 0)

    def score(hits, n):
        n = np.where(known, n, 1)
        rate = hits / n
        middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
        half = np.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2) * z / (1 + z**2 / n)
        return rate, middle - half, middle + half

    inside, low_in, high_in = score(np.where(known, hits_in, 0), n_in)
    outside, low_out, high_out = score(np.where(known, hits_out, 0), n_out)
    difference = inside - outside
    low = difference - np.hypot(inside - low_in, high_out - outside)
    high = difference + np.hypot(high_in - inside, outside - low_out)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def z_score(counts: Counts) -> np.ndarray:
    """The score test of equal rates on both sides: float64; NaN where there is no estimate.

    z = rate_difference / sqrt(r (1 - r) (1 / n_in + 1 / n_out)) with r the rate of all
    trials; 0 where all of them agree. Where the example has no influence it is roughly
    standard normal, but not in the tails: that all 10 wrong answers of 500 trials fall
    among the 150 without the example is 9 times as likely as the normal distribution says.
    `p_value` is exact.
    """
    hits_in, n_in, hits_out, n_out = (np.asarray(c, np.float64) for c in counts)
    n = n_in + n_out
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = (hits_in + hits_out) / n
        spread = np.sqrt(rate * (1 - rate) * n / (n_in * n_out))
        z = (hits_in / n_in - hits_out / n_out) / spread
        return np.where((spread == 0) & (n_in > 0) & (n_out > 0), 0.0, z)


def p_value(counts: Counts, alternative: Alternative = "greater") -> np.ndarray:
    """The chance of as high an influence by accident: float64; NaN without an estimate.

    Fisher's exact test: under the null hypothesis, the number of correct trials among the
    included ones is hypergeometric. alternative="less": the chance of as low an influence.
    """
    hits_in, n_in, hits_out, n_out = (np.asarray(c, np.int64) for c in counts)
    null = hypergeom(n_in + n_out, hits_in + hits_out, n_in)
    p = null.sf(hits_in - 1) if alternative == "greater" else null.cdf(hits_in)
    return np.where((n_in > 0) & (n_out > 0), p, np.nan)


def discoveries(p: np.ndarray, tests: int, rate: float = 0.05) -> int:
    """How many of the smallest p-values are discoveries at a false-discovery rate.

    Benjamini & Hochberg (1995): the largest k with p(k) <= rate * k / tests, where p(k) is
    the k-th smallest. p: float [K], all p-values up to a level, out of `tests`. Those above
    the level take no part; this is conservative.
    """
    below = np.sort(p) <= rate * np.arange(1, p.size + 1) / tests
    return int(np.flatnonzero(below).max(initial=-1)) + 1
