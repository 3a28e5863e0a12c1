"""Discoveries as SciPy finds them among the whole matrix."""

import numpy as np
import pytest
from matrices import random_trials, whole_counts
from scipy.stats import false_discovery_control

from jaxmem import InputError
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.search import discovery_level
from jaxmem.estimates.search.memory import allot
from jaxmem.estimates.search.tiles import grain
from jaxmem.estimates.statistics import p_value


def depending(trials, n, e, planted, copies=1):
    """Bits, and p of all pairs [N, E]: `planted` test examples depend on a training example
    each, of which there are copies, seen by the same trials."""
    included, correct = random_trials(trials, n, e)
    rng = np.random.default_rng(1)
    included[:, 4 : 4 + copies] = included[:, 4:5]
    correct[:, :planted] = included[:, 4:5] ^ (rng.random((trials, planted)) < 0.15)
    p = p_value(whole_counts(included, correct))
    return Bits.of(included), Bits.of(correct), p


def test_discoveries_are_those_of_all_pairs():
    included, correct, p = depending(60, 61, 9, planted=4)
    tests = int(np.isfinite(p).sum())
    known = np.isfinite(p)
    expected = np.zeros(p.shape, bool)
    expected[known] = false_discovery_control(p[known]) <= 0.2
    assert 1 < expected.sum() < p.size / 4
    for false_positives in (100_000, 5):  # whatever tail is searched first
        level = discovery_level(
            included, correct, tests, 0.2, false_positives=false_positives
        )
        np.testing.assert_array_equal(p <= (1 + 1e-9) * level, expected)


def test_fewer_discoveries_in_less_memory():
    """Where not all that may be discoveries fit, those that do are found."""
    included, correct, p = depending(200, 300, 40, planted=40, copies=30)
    tests = int(np.isfinite(p).sum())
    level = discovery_level(included, correct, tests)
    less = discovery_level(included, correct, tests, memory=0.0005)
    most = allot(0.0005, 300, 40, 200, 0, grain()).pairs
    assert 0 < (p <= (1 + 1e-9) * less).sum() <= most < (p <= level).sum()


def test_no_discoveries():
    included, correct, p = depending(60, 61, 9, planted=4)
    assert discovery_level(included, correct, p.size, rate=1e-30) == -np.inf
    assert discovery_level(included, correct, tests=0) == -np.inf
    for rate in (0, 1, 2, np.nan):
        with pytest.raises(InputError, match=f"rate {rate} is outside"):
            discovery_level(included, correct, p.size, rate)
