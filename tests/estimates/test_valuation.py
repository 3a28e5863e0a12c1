"""Values of training examples against their definitions, a trial at a time."""

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError, valuation
from jaxmem.estimates.valuation import (
    banzhaf_values,
    c_scores,
    held_out_accuracy,
    total_influence,
)


@pytest.fixture
def runs(tiny, tiny_recipe, tmp_path):
    return [
        jaxmem.run_trials(
            tiny, 25, tmp_path / f"{fraction}", subset_fraction=fraction, **tiny_recipe
        )
        for fraction in (0.3, 0.5, 0.9)
    ]


def held_out(run, i):
    right = [c[i] for m, c in zip(run.included, run.train_correct, strict=True) if not m[i]]
    return sum(right) / len(right) if right else np.nan


def test_c_scores(runs, tiny, tiny_recipe, tmp_path):
    expected = [[held_out(run, i) for i in range(61)] for run in runs]
    for run, values in zip(runs, expected, strict=True):
        np.testing.assert_allclose(held_out_accuracy(run), values, rtol=1e-15)
    assert np.isfinite(expected[:2]).all()
    np.testing.assert_allclose(c_scores(runs), np.mean(expected, axis=0), rtol=1e-14)
    labels = (tiny.train.labels + 1) % 3
    other = tiny._replace(train=tiny.train._replace(labels=labels))
    other = jaxmem.run_trials(other, 4, tmp_path / "other", **tiny_recipe)
    with pytest.raises(InputError, match="runs on different training sets"):
        c_scores([*runs, other])


def test_banzhaf_values(runs, tiny, tiny_recipe, tmp_path):
    with pytest.raises(InputError, match="all of one size, which give no Banzhaf values"):
        banzhaf_values(runs[1])
    assert total_influence(runs[1]).relative
    flags = {"sampling": "bernoulli", "subset_fraction": 0.5, **tiny_recipe}
    run = jaxmem.run_trials(tiny, 60, tmp_path / "coins", **flags)
    assert np.unique(run.included.sum(axis=1)).size > 5
    assert not total_influence(run).relative
    accuracy = run.test_correct.mean(axis=1)
    expected = [
        accuracy[run.included[:, i]].mean() - accuracy[~run.included[:, i]].mean()
        for i in range(61)
    ]
    np.testing.assert_allclose(banzhaf_values(run), expected, atol=1e-14)
    # They are the mean influence on the test set.
    influence = run.influence(np.arange(61)).mean(axis=1)
    np.testing.assert_allclose(banzhaf_values(run), influence, atol=1e-14)


def test_banzhaf_values_of_an_additive_game(tmp_path):
    """U(S) = |S| / 10: each of 10 examples is worth 0.1."""
    masks = np.random.default_rng(0).random((4000, 10)) < 0.5
    masks = masks[masks.any(axis=1)]
    test = np.arange(10)[None] < masks.sum(axis=1)[:, None]
    run = jaxmem.adopt_trials(tmp_path / "game", masks, masks, test)
    np.testing.assert_allclose(banzhaf_values(run), 0.1, atol=0.02)


def test_total_influence(runs, monkeypatch):
    run = runs[2]  # where some examples were never out
    infl = run.influence(np.arange(61))
    known = np.isfinite(infl[:, 0])
    assert known.any() and not known.all()
    for rows in (valuation.ROWS, 16):
        monkeypatch.setattr(valuation, "ROWS", rows)
        total = total_influence(run)
        np.testing.assert_array_equal(np.isnan(total.of_train), ~known)
        np.testing.assert_allclose(total.of_train, infl.sum(axis=1), atol=1e-13)
        np.testing.assert_allclose(total.on_test, infl[known].sum(axis=0), atol=1e-13)
