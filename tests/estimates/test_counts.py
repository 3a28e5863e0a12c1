"""Estimators against the paper's Algorithm 1, step 3 and 4, written out in fractions."""

from fractions import Fraction

import numpy as np
import pytest

from jaxmem.estimates.bits import Bits, words_of
from jaxmem.estimates.counts import influence_counts, memorization_counts, rate_difference


def mean(values):
    return Fraction(sum(values), len(values)) if values else None


def naive(included, correct, i, j):
    """mean[h_k(x_j) = y_j | i in I_k] − mean[h_k(x_j) = y_j | i not in I_k], exactly."""
    inside = mean([int(c[j]) for m, c in zip(included, correct, strict=True) if m[i]])
    outside = mean([int(c[j]) for m, c in zip(included, correct, strict=True) if not m[i]])
    return float("nan") if None in (inside, outside) else float(inside - outside)


def influence(included, correct):
    """influence_counts of bool [T, N] and bool [T, E]."""
    n, e = included.shape[1], correct.shape[1]
    words = [words_of(Bits.of(values)) for values in (included, correct)]
    return influence_counts(words[0][:, :n], words[1][:, :e], len(included))


def random_trials(seed, t, n, e):
    rng = np.random.default_rng(seed)
    included = rng.random((t, n)) < rng.random(n)
    included[:, 0], included[:, 1] = True, False  # never out; never in
    return included, rng.random((t, n)) < 0.8, rng.random((t, e)) < 0.6


CASES = [(0, 1, 2, 1), (1, 7, 5, 3), (2, 64, 9, 8), (3, 101, 17, 11), (4, 333, 8, 6)]


@pytest.mark.parametrize("case", CASES)
def test_memorization_equals_the_naive_loop_exactly(case):
    included, correct, _ = random_trials(*case)
    n = included.shape[1]
    counts = memorization_counts(Bits.of(included), Bits.of(correct))
    got = rate_difference(counts)
    assert got.dtype == np.float64
    expected = [naive(included, correct, i, i) for i in range(n)]
    np.testing.assert_array_equal(got, expected)
    assert np.isnan(got[:2]).all()


@pytest.mark.parametrize("case", CASES)
def test_influence_equals_the_naive_loop_exactly(case):
    included, _, correct = random_trials(*case)
    got = rate_difference(influence(included, correct))
    n, e = included.shape[1], correct.shape[1]
    expected = [[naive(included, correct, i, j) for j in range(e)] for i in range(n)]
    np.testing.assert_array_equal(got, expected)


def test_a_value_on_the_threshold_reaches_it():
    # 4/5 − 11/20 is 1/4; float64 gives 0.25 only if rounded once.
    included = np.array([True] * 5 + [False] * 20)
    correct = np.array([True] * 4 + [False] + [True] * 11 + [False] * 9)
    counts = influence(included[:, None], correct[:, None])
    assert rate_difference(counts)[0, 0] >= 0.25


def test_closed_form():
    # Correct exactly when included: mem 1. Always correct: 0. When excluded: −1.
    included = np.tile([[True] * 3, [False] * 3], (4, 1))
    correct = np.stack([included[:, 0], np.ones(8, bool), ~included[:, 0]], axis=1)
    counts = memorization_counts(Bits.of(included), Bits.of(correct))
    np.testing.assert_array_equal(rate_difference(counts), [1, 0, -1])
