"""The decomposition of mem's noise, against loops and against what was put in."""

import numpy as np
import pytest

from jaxmem import InputError
from jaxmem.estimates.variance import noise_components


def naive(included, correct, level):
    """One-way analysis of variance, a side and an example at a time."""
    between, within = np.zeros(2 * included.shape[1]).reshape(2, -1)
    for example in range(included.shape[1]):
        for side in (True, False):
            there = included[:, example] == side
            y, group = correct[there, example].astype(float), level[there]
            parts = [y[group == k] for k in np.unique(group)]
            sizes = np.array([part.size for part in parts])
            msb = sum(p.size * (p.mean() - y.mean()) ** 2 for p in parts)
            msb /= len(parts) - 1
            msw = sum(((p - p.mean()) ** 2).sum() for p in parts) / (y.size - len(parts))
            n0 = (y.size - (sizes**2).sum() / y.size) / (len(parts) - 1)
            between[example] += (msb - msw) / n0 / there.mean()
            within[example] += msw / there.mean()
    return between, within


def test_components_are_those_of_the_analysis_of_variance():
    rng = np.random.default_rng(0)
    included, correct = rng.random((2, 60, 5)) < [[[0.7]], [[0.4]]]
    level = rng.integers(0, 6, 60)
    found = noise_components(included, correct, level)
    for mine, expected in zip(found, naive(included, correct, level), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-12)
    assert np.isnan(noise_components(included, correct, level * 0).between).all()
    assert np.isnan(noise_components(included, correct, np.arange(60)).within).all()
    with pytest.raises(InputError, match=r"level \[59\] must be"):
        noise_components(included, correct, level[1:])


def test_what_was_put_in_comes_out():
    """Chances .2 or .8 by level: .09 of a variance of .25 lies between levels."""
    rng = np.random.default_rng(1)
    level = np.repeat(np.arange(400), 20)
    included = rng.random((8000, 3)) < 0.5
    chance = np.where(rng.random(400) < 0.5, 0.2, 0.8)[level][:, None]
    correct = rng.random((8000, 3)) < [0.5, 0.5, 0.5] * np.ones_like(chance)
    correct[:, :2] = rng.random((8000, 2)) < chance
    between, within = noise_components(included, correct, level)
    np.testing.assert_allclose(between / 4, [0.09, 0.09, 0], atol=0.006)
    np.testing.assert_allclose(within / 4, [0.16, 0.16, 0.25], atol=0.006)
