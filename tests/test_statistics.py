import numpy as np
import pytest

from jaxmem.estimators import Counts, rate_difference
from jaxmem.statistics import standard_error


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
