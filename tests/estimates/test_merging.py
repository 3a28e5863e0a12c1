"""Runs together: only trials that are independent."""

import dataclasses

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.merging import repeated_subsets


@pytest.fixture
def train(tiny, tiny_recipe, tmp_path):
    def run(name, trials=20, **flags):
        return jaxmem.run_trials(tiny, trials, tmp_path / name, **{**tiny_recipe, **flags})

    return run


def test_the_same_subsets_are_not_independent(train):
    first = train("a")
    again = train("b", masks=first.included, seed=1)
    with pytest.raises(InputError, match="20 of their subsets are the same"):
        jaxmem.merge_runs([first, again])
    both = [train(f"m{seed}", masks=first.included, seed=seed) for seed in (2, 3)]
    with pytest.raises(InputError, match="20 of their subsets are the same"):
        jaxmem.merge_runs(both)
    # Masks of one's own that differ are welcome.
    other = train("c", seed=4)
    apart = train("d", masks=other.included, seed=5)
    assert jaxmem.merge_runs([first, apart]).trials.size == 40


def test_repeated_subsets_are_told(train, tiny):
    masks = np.repeat(train("a", 5).included, 3, axis=0)
    run = train("b", 15, masks=masks, seed=1)
    assert repeated_subsets(run) == 10
    from jaxmem.reporting.summary import summarize

    warnings = summarize(run, run.pairs(), 0.25).warnings
    assert any("10 of 15 trials repeat another's subset" in line for line in warnings)


def test_one_seed_is_one_set_of_random_numbers(train):
    first, balanced = train("a"), train("b", sampling="balanced")
    with pytest.raises(InputError, match="both are of seed 0, and trials of one number"):
        jaxmem.merge_runs([first, balanced])
    with pytest.raises(InputError, match="both are of seed 0 and hold trial 0 and 19 more"):
        jaxmem.merge_runs([first, train("c")])
    # Disjoint trials of one seed are one run in two places.
    whole = train("d", 30)
    parts = [
        dataclasses.replace(train("e", 30), trials=np.arange(12)),
        dataclasses.replace(whole, trials=np.arange(12, 30)),
    ]
    merged = jaxmem.merge_runs(parts)
    np.testing.assert_array_equal(merged.included, whole.included)
    np.testing.assert_array_equal(merged.memorization, whole.memorization)


def test_merged_runs_are_known_by_their_parts(train):
    first, second = train("a"), train("b", seed=1)
    merged = jaxmem.merge_runs([first, second])
    with pytest.raises(InputError, match="hold trial 0"):
        jaxmem.merge_runs([merged, second])
    part = dataclasses.replace(merged, trials=merged.trials[:25])
    third = jaxmem.merge_runs([part, train("c", seed=2)])
    np.testing.assert_array_equal(third.included[20:25], second.included[:5])
    assert third.trials.size == 45
    assert jaxmem.merge_runs([first]) is first
    with pytest.raises(InputError, match="no runs to merge"):
        jaxmem.merge_runs([])


def test_predicted_runs_keep_their_own_outcomes(train, tiny):
    new = tiny._replace(name="new", test=tiny.train)
    runs = [
        jaxmem.predict_trials(train(name, seed=seed, keep_models=True).workdir, new)
        for seed, name in enumerate("ab")
    ]
    merged = jaxmem.merge_runs(runs)
    correct = np.concatenate([run.test_correct for run in runs])
    np.testing.assert_array_equal(merged.test_correct, correct)
    inside = np.mean(correct[:, 7], where=merged.included[:, 3])
    outside = np.mean(correct[:, 7], where=~merged.included[:, 3])
    np.testing.assert_allclose(merged.influence([3])[0, 7], inside - outside, atol=1e-15)
    np.testing.assert_allclose(merged.test_accuracy, correct.mean(axis=1), rtol=1e-6)
    part = dataclasses.replace(runs[0], trials=runs[0].trials[4:9])
    np.testing.assert_array_equal(part.test_correct, runs[0].test_correct[4:9])
    with pytest.raises(InputError, match="tt_labels, tt_ids differ"):
        jaxmem.merge_runs([runs[0], jaxmem.open_run(runs[1].workdir)])
