"""Rates, bands and bounds against counting, closed forms and known truths."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import binom, norm

from jaxmem import InputError
from jaxmem.estimates.privacy import (
    BYTES,
    SPLIT,
    epsilon_lower_bound,
    exposure,
    measure_attack,
    membership_roc,
    true_positive_rate,
)
from jaxmem.estimates.rates import Ordered, resampled


def normal_scores(targets=20, examples=500, shift=1.0, seed=0):
    rng = np.random.default_rng(seed)
    members = rng.random((targets, examples)) < 0.5
    return rng.normal(members * shift), members


def test_membership_roc_by_hand():
    """Against counting at every threshold; ties are one point, NaN none."""
    rng = np.random.default_rng(0)
    members = rng.random(3000) < 0.4
    scores = rng.normal(members * 1.5).round(2)
    roc = membership_roc(np.append(scores, np.nan), np.append(members, True))
    cuts = np.unique(scores)[::-1]
    false = [0, *((scores[~members] >= cut).mean() for cut in cuts)]
    true = [0, *((scores[members] >= cut).mean() for cut in cuts)]
    np.testing.assert_allclose(roc.false_positive_rate, false)
    np.testing.assert_allclose(roc.true_positive_rate, true)
    for rate in (0.001, 0.01, 0.1):
        expected = max(t for f, t in zip(false, true, strict=True) if f <= rate)
        np.testing.assert_allclose(true_positive_rate(scores, members, rate), expected)
    with pytest.raises(InputError, match="3 members and 0 others"):
        membership_roc(np.ones(3), np.ones(3, bool))
    with pytest.raises(InputError, match=r"scores of shape \(3,\), members of \(2,\)"):
        membership_roc(np.ones(3), np.ones(2, bool))


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_rates_are_those_of_the_curve(digits):
    """Also of ties, and at rates that are multiples of one over the others."""
    scores, members = normal_scores(7, 300)
    scores = scores.round(digits)
    scores[3, 2] = np.nan
    found, roc = Ordered.of(scores, members), membership_roc(scores, members)
    np.testing.assert_allclose(found.auc(), np.trapezoid(*roc[::-1]), rtol=1e-12)
    assert found.balanced_accuracy() == (1 + np.max(roc[1] - roc[0])) / 2
    count = found.others.size
    grid = np.concatenate([np.arange(count + 1) / count, [1e-9, 0.001, 0.05]])
    last = np.searchsorted(roc.false_positive_rate, grid, side="right") - 1
    np.testing.assert_array_equal(
        found.true_positive_rates(grid), roc.true_positive_rate[last]
    )


def test_rates_of_normal_scores_are_those_of_the_binormal_curve():
    """N(0, 1) against N(1, 1): AUC Φ(1/√2), TPR Φ(Φ⁻¹(f) + 1), accuracy Φ(1/2)."""
    scores, members = normal_scores(shift=1)
    found = measure_attack(scores, members, rates=(0.1, 0.01), resamples=100)
    truths = {
        "auc": norm.cdf(2**-0.5),
        "balanced_accuracy": norm.cdf(0.5),
    }
    for name, truth in truths.items():
        value, low, high = getattr(found, name)
        assert low <= value <= high and high - low < 0.04
        assert abs(value - truth) < 0.02, name
    for rate, (value, low, high) in found.true_positive_rate.items():
        assert value == true_positive_rate(scores, members, rate)
        assert low < norm.cdf(norm.ppf(rate) + 1) < high
    assert (found.members, found.others) == (members.sum(), (~members).sum())
    roc = found.roc
    assert (np.diff(roc.false_positive_rate) >= 0).all() and roc.true_positive_rate[-1] == 1
    assert (
        (found.low <= roc.true_positive_rate) & (roc.true_positive_rate <= found.high)
    ).all()
    inside = roc.false_positive_rate > 0.005
    curve = norm.cdf(norm.ppf(roc.false_positive_rate[inside]) + 1)
    covered = (found.low[inside] <= curve) & (curve <= found.high[inside])
    assert covered.mean() > 0.8


def test_resampling_repeats_targets_and_examples():
    """Against arrays in which they are repeated; blocks are of two targets."""
    scores, members = normal_scores(11, 400)
    scores = scores.round().clip(-2, 2)
    scores[2, 3] = np.nan
    grid, rng = np.array([0.05, 0.2, 0.6]), np.random.default_rng(4)
    others = Ordered.of(scores, members).others
    args = scores, members, others, grid, 5, np.random.default_rng(4)
    drawn = resampled(*args, at_once=900)
    for row in drawn:
        chosen = np.ix_(*(rng.integers(size, size=size) for size in scores.shape))
        roc = membership_roc(scores[chosen], members[chosen])
        expected = [np.trapezoid(*roc[::-1]), (1 + np.max(roc[1] - roc[0])) / 2]
        expected += [true_positive_rate(scores[chosen], members[chosen], f) for f in grid]
        np.testing.assert_allclose(row, expected)


def test_resampling_takes_the_memory_that_it_may():
    scores, members = normal_scores(40, 5000)
    found, peaks, others = [], [], Ordered.of(scores, members).others
    for at_once in (10**4, 10**6):
        tracemalloc.start()
        rng = np.random.default_rng(0)
        found.append(resampled(scores, members, others, np.array([0.1]), 2, rng, at_once))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    np.testing.assert_array_equal(*found)
    drawn = 4 * sum(scores.shape) * 8  # and how often
    assert peaks[0] < BYTES * 10**4 + drawn + 10**5 < peaks[1] / 4


def test_intervals_are_of_targets_and_examples():
    """Where targets differ, twenty of them say less than ten thousand cells."""
    scores, members = normal_scores(shift=1)
    rng = np.random.default_rng(1)
    uneven = scores + members * rng.normal(0, 1, (20, 1))
    narrow, wide = (measure_attack(s, members, resamples=60).auc for s in (scores, uneven))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_exposure_is_the_share_of_members_found():
    scores, members = normal_scores(shift=2)
    scores[:, 3] += 10 * members[:, 3]
    members[:, 4] = False
    found = exposure(scores, members, 0.01)
    cut = min(c for c in scores.ravel() if (scores[~members] > c).mean() <= 0.01)
    for i in (0, 3, 7):
        assert found[i] == (scores[members[:, i], i] > cut).mean()
    assert found[3] == 1 and np.isnan(found[4])


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_epsilon_of_randomised_response(epsilon):
    """Answers that are true with e^ε / (1 + e^ε) are exactly ε-private."""
    rng = np.random.default_rng(0)
    members = rng.random((1, 20000)) < 0.5
    honest = rng.random(members.shape) < np.exp(epsilon) / (1 + np.exp(epsilon))
    answers = np.where(honest, members, ~members).astype(float)
    found = epsilon_lower_bound(answers, members, delta=0)
    assert 0.85 * epsilon < found.epsilon <= epsilon
    assert found.level == 0.95
    # Clopper & Pearson by their definition: the rate at which as many hits are as rare.
    chosen = np.random.default_rng([0, SPLIT]).permutation(20000) < 10000
    hit, seen = answers[:, ~chosen], members[:, ~chosen]
    grid = np.linspace(0, 1, 200001)
    hits, n = int(hit[seen].sum()), int(seen.sum())
    least = grid[binom.sf(hits - 1, n, grid) >= 0.025].min()
    alarms, m = int(hit[~seen].sum()), int((~seen).sum())
    most = grid[binom.cdf(alarms, m, grid) >= 0.025].max()
    expected = max(np.log(least / most), np.log((1 - most) / (1 - least)))
    np.testing.assert_allclose(found.epsilon, expected, atol=1e-3)


def test_epsilon_is_rarely_above_the_truth():
    """Of no information at all, at most 5 % of bounds are above 0."""
    above = [
        epsilon_lower_bound(*normal_scores(1, 400, shift=0, seed=seed)).epsilon > 0
        for seed in range(100)
    ]
    assert np.mean(above) <= 0.05


def test_what_has_no_rates():
    scores, members = normal_scores()
    with pytest.raises(InputError, match=r"expected \[targets, examples\]"):
        measure_attack(scores[0], members[0])
    with pytest.raises(InputError, match="level 1 is outside"):
        measure_attack(scores, members, level=1)
    with pytest.raises(InputError, match="delta 2 must be in"):
        epsilon_lower_bound(scores, members, delta=2)
