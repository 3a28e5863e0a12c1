from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control, norm

from jaxmem import InputError
from jaxmem.estimates.counts import Counts, rate_difference
from jaxmem.estimates.statistics import (
    discoveries,
    interval,
    p_value,
    standard_error,
    z_score,
)


def counts(hits_in, n_in, hits_out, n_out):
    return Counts(hits_in, n_in, hits_out, n_out)


def test_formula():
    # p = 8/12, q = 2/6.
    expected = np.sqrt((8 / 12) * (4 / 12) / 12 + (2 / 6) * (4 / 6) / 6)
    np.testing.assert_allclose(standard_error(counts(7, 10, 1, 4)), expected, rtol=1e-15)


def test_never_zero_where_models_were_always_right():
    assert standard_error(counts(70, 70, 30, 30)) > 0.02


@pytest.mark.parametrize("n_in, n_out", [(0, 5), (5, 0)])
def test_no_error_without_an_estimate(n_in, n_out):
    empty = counts(0, n_in, 0, n_out)
    assert np.isnan(rate_difference(empty)) and np.isnan(standard_error(empty))


@pytest.mark.parametrize("p, q", [(1.0, 0.5), (0.9, 0.2), (0.99, 0.97)])
def test_agrees_with_the_scatter_of_repeated_estimates(p, q):
    rng = np.random.default_rng(0)
    hits = rng.binomial(280, p, 4000), rng.binomial(120, q, 4000)
    drawn = counts(hits[0], np.full(4000, 280), hits[1], np.full(4000, 120))
    scatter = np.std(rate_difference(drawn))
    typical = np.sqrt(np.mean(np.square(standard_error(drawn))))
    # The added success and failure err on the large side near 0 and 1.
    assert 0.95 * scatter < typical < 1.15 * scatter


def coverage(p, q, n, m, level=0.95):
    """How often the interval covers p - q: exact, summed over all outcomes."""
    x, y = np.arange(n + 1)[:, None], np.arange(m + 1)[None]
    chance = binom.pmf(x, n, p) * binom.pmf(y, m, q)
    low, high = interval(counts(x, np.full_like(x, n), y, np.full_like(y, m)), level)
    return (chance * ((low <= p - q) & (p - q <= high))).sum()


RATES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0)


@pytest.mark.parametrize("n, m", [(70, 30), (280, 120), (1400, 600)])
def test_intervals_cover_what_they_say(n, m):
    """93 to 97 % over true values where both sides expect 5 of the rarer outcome."""
    checked = 0
    for p in RATES:
        for q in RATES:
            covered = coverage(p, q, n, m)
            assert covered > 0.92, (p, q)  # at 0 and 1 too, where it errs on the safe side
            if min(n * min(p, 1 - p), m * min(q, 1 - q)) >= 5:
                assert 0.93 <= covered <= 0.97, (p, q, covered)
                checked += 1
    assert checked >= 9


def test_intervals_of_another_level():
    assert 0.88 < coverage(0.9, 0.3, 280, 120, level=0.9) < 0.92
    with pytest.raises(InputError, match=r"level 1\.5 is outside"):
        interval(counts(1, 2, 1, 2), 1.5)


def test_interval_by_hand():
    """Newcombe 1998, Table II, method 10: 56/70 - 48/80 and 10/10 - 0/10."""
    low, high = interval(counts(56, 70, 48, 80))
    np.testing.assert_allclose([low, high], [0.0524, 0.3339], atol=5e-5)
    low, high = interval(counts(10, 10, 0, 10))
    np.testing.assert_allclose([low, high], [0.6075, 1.0], atol=5e-5)
    assert np.isnan(interval(counts(0, 0, 3, 5))).all()


def test_z_score_is_the_score_test():
    # r = 60/100: (40/50 - 20/50) / sqrt(0.24 * (1/50 + 1/50))
    np.testing.assert_allclose(z_score(counts(40, 50, 20, 50)), 0.4 / np.sqrt(0.0096))
    assert z_score(counts(50, 50, 30, 30)) == 0 and np.isnan(z_score(counts(0, 0, 3, 5)))
    rng = np.random.default_rng(0)
    hits = rng.binomial(1400, 0.7, 20000), rng.binomial(600, 0.7, 20000)
    drawn = z_score(counts(hits[0], np.full(20000, 1400), hits[1], np.full(20000, 600)))
    assert abs(drawn.std() - 1) < 0.02 and abs((drawn > 1.645).mean() - 0.05) < 0.005


def test_p_value_is_exact():
    """Against counting subsets; and one that the normal distribution underestimates."""

    def naive(hits_in, n_in, hits_out, n_out):
        hits, total = hits_in + hits_out, n_in + n_out
        ways = [comb(n_in, k) * comb(n_out, hits - k) for k in range(hits + 1)]
        return [
            Fraction(sum(w), comb(total, hits))
            for w in (ways[hits_in:], ways[: hits_in + 1])
        ]

    cases = [(40, 50, 20, 50), (350, 350, 140, 150), (0, 350, 3, 150), (9, 9, 0, 9)]
    for case in cases:
        more, less = naive(*case)
        np.testing.assert_allclose(p_value(counts(*case)), float(more), rtol=1e-9)
        np.testing.assert_allclose(p_value(counts(*case), "less"), float(less), rtol=1e-9)
    rare = counts(350, 350, 140, 150)
    assert 8 < p_value(rare) / norm.sf(z_score(rare)) < 10
    assert np.isnan(p_value(counts(0, 0, 3, 5)))
    # Among subsets that do not matter, no level is reached too often.
    rng = np.random.default_rng(0)
    hits = rng.binomial(140, 0.97, 100_000), rng.binomial(60, 0.97, 100_000)
    drawn = p_value(counts(hits[0], np.full(100_000, 140), hits[1], np.full(100_000, 60)))
    for level in (0.05, 0.01, 0.001):
        assert (drawn <= level).mean() < 1.1 * level


def test_discoveries_are_scipys():
    rng = np.random.default_rng(0)
    p = norm.sf(np.concatenate([rng.normal(size=5000), rng.normal(4, 1, 60)]))
    expected = false_discovery_control(p) <= 0.05
    count = discoveries(p, p.size)
    assert count == expected.sum() > 10 and np.sort(p)[count - 1] == p[expected].max()
    # The small ones alone, of as many tests, are enough.
    assert discoveries(p[p < 0.01], p.size) == count
    assert discoveries(np.array([0.5, 0.9]), 2) == 0 == discoveries(np.zeros(0), 10)
