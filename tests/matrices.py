"""Masks and outcomes at random, and the whole matrix from the definition."""

import numpy as np

from jaxmem.estimates.counts import Counts


def random_trials(trials, n, e, seed=0):
    """Masks bool [T, N] with unequal counts, and outcomes bool [T, E].

    One example is never in, one never out; a few outcomes depend on an example each.
    """
    rng = np.random.default_rng(seed)
    included = rng.random((trials, n)) < rng.uniform(0.3, 0.9, n)
    if n > 3:
        included[:, 2], included[:, 3] = False, True
    correct = rng.random((trials, e)) < rng.uniform(0, 1, e)
    planted = min(n, e // 2)
    turned = rng.random((trials, planted)) < 0.2
    correct[:, :planted] ^= included[:, :planted] & turned
    return included, correct


def whole_counts(included, correct):
    """Counts [N, E] of all pairs, by products of matrices."""
    i, c = included.astype(int), correct.astype(int)
    shape = included.shape[1], correct.shape[1]
    n_in = np.broadcast_to(i.sum(axis=0)[:, None], shape)
    hits_in, hits_out = i.T @ c, (1 - i).T @ c
    return Counts(hits_in, n_in, hits_out, len(i) - n_in)


def whole_influence(included, correct):
    """infl [N, E] from the definition, a row at a time; NaN without an estimate."""
    infl = np.full((included.shape[1], correct.shape[1]), np.nan)
    for i, inside in enumerate(included.T):
        if inside.any() and not inside.all():
            n_in, n_out = inside.sum(), (~inside).sum()
            hits_in = correct[inside].sum(axis=0)
            hits_out = correct[~inside].sum(axis=0)
            infl[i] = (hits_in * n_out - hits_out * n_in) / (n_in * n_out)
    return infl


def assert_best(best, matrix, k):
    """A `Best` is the k highest of each row of a matrix; NaN there: no estimate."""
    k_all = min(k, matrix.shape[1])
    ordered = -np.sort(-np.nan_to_num(matrix, nan=-np.inf), axis=1)[:, :k_all]
    expected = np.full((len(matrix), k), np.nan)
    expected[:, :k_all] = np.where(np.isfinite(ordered), ordered, np.nan)
    np.testing.assert_array_equal(best.infl, expected)
    known = best.index >= 0
    np.testing.assert_array_equal(known, np.isfinite(expected))
    lines = np.nonzero(known)[0]
    np.testing.assert_array_equal(matrix[lines, best.index[known]], best.infl[known])
    for line, marks in zip(best.index, known, strict=True):
        assert np.unique(line[marks]).size == marks.sum()
