"""Datamodels recover margins that are linear, and predict real ones."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.datamodels import PERCENT, fit_datamodels
from jaxmem.estimates.judge import lds


class Highest(NamedTuple):
    """A reader with other margins of test examples, [T, E], beside another's outcomes."""

    reader: Any
    margin: np.ndarray

    def read(self, name, trials):
        if name == "test_highest_margin":
            return self.margin[trials]
        return self.reader.read(name, trials)


@pytest.fixture
def run(tmp_path):
    """400 foreign trials: margins are sparse linear functions of the masks, and noise."""
    rng = np.random.default_rng(0)
    masks = rng.random((400, 50)) < 0.5
    weights = np.zeros((2, 50))
    weights[0, [3, 7]], weights[1, [0, 20, 49]] = (2.0, -1.0), (1.0, 1.0, -3.0)
    test = masks @ weights.T + [0.5, -1.0] + rng.normal(0, 0.1, (400, 2))
    train = rng.normal(size=(400, 50))
    run = jaxmem.adopt_trials(tmp_path / "linear", masks, train, test)
    return run, weights


def test_sparse_linear_margins_are_recovered(run):
    run, weights = run
    found = fit_datamodels(run, [1, 0])
    np.testing.assert_allclose(found.weights, weights[::-1], atol=0.05)
    np.testing.assert_allclose(found.intercept, [-1.0, 0.5], atol=0.15)
    # The score is that of the truth, on the trials that the fit has not seen.
    for score, row in zip(found.lds, (1, 0), strict=True):
        truth = run.included[340:] @ weights[row]
        expected = spearmanr(truth, run.test_margin[340:, row].astype(float)).statistic
        assert expected > 0.8 and abs(score - expected) < 0.1
    shuffled = np.random.default_rng(1).permutation(run.test_margin, axis=0)
    other = dataclasses.replace(run)
    other.__dict__["test_margin"] = shuffled
    scores = fit_datamodels(other, [0, 1]).lds
    assert (np.isnan(scores) | (np.abs(scores) < 0.35)).all()


@pytest.mark.parametrize("order", ["repeated", "tiled"])
def test_repeated_subsets_are_in_one_section(tmp_path, order):
    """Whatever the order; and the LDS is of their means."""
    rng = np.random.default_rng(0)
    masks = rng.random((80, 12)) < 0.5
    masks = np.repeat(masks, 4, axis=0) if order == "repeated" else np.tile(masks, (4, 1))
    test = masks @ rng.normal(size=(12, 1)) + rng.normal(0, 1, (320, 1))
    run = jaxmem.adopt_trials(tmp_path, masks, rng.normal(size=masks.shape), test)
    sections = jaxmem.disjoint_trials(run, PERCENT)
    assert [section.size for section in sections] == [224, 48, 48]
    found = [{m.tobytes() for m in run.included[section]} for section in sections]
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])
    fitted, kept = fit_datamodels(run, 0), run.select(sections[2])
    np.testing.assert_allclose(lds(kept, fitted.weights, 1).by_test, fitted.lds)


def test_a_pass_of_a_balanced_walk_is_in_one_section(tiny, tiny_recipe, tmp_path):
    """61 examples, of which 18 are left out: a pass has 3 trials and a part of another."""
    how = {"sampling": "balanced", "margins": True, **tiny_recipe}
    parts = [
        jaxmem.run_trials(tiny, 20, tmp_path / f"{seed}", seed=seed, **how)
        for seed in (0, 1)
    ]
    run = jaxmem.merge_runs(parts)
    first, second = jaxmem.disjoint_trials(run, (40, 60))
    # Pass 4, places 244 … 304, has trials 14, 15 and 16, the end of 13 and none before.
    assert first.tolist() == list(range(13)) and second.tolist() == list(range(14, 40))
    walked = [{*range(18 * t // 61, (18 * t + 17) // 61 + 1)} for t in range(20)]
    assert not set.union(*walked[:13]) & set.union(*walked[14:])
    left_out = ~run.included[:20]
    for number in range(4):  # whole passes: nothing is left out twice
        inside = [t for t in range(20) if walked[t] == {number}]
        assert (left_out[inside].sum(axis=0) <= 1).all() and len(inside) >= 2
    # Halves of the second run's trials are those of its own passes.
    assert jaxmem.disjoint_trials(run, (50, 50))[1].tolist() == list(range(20, 40))
    # Were examples in pairs, a pass were 31 places, 9 a trial: trial 6 has places 54 … 62.
    pairs = dataclasses.replace(parts[0], tr_groups=(np.arange(61) // 2).astype(str))
    first, second = jaxmem.disjoint_trials(pairs, (40, 60))
    assert first.tolist() == list(range(6)) and second.tolist() == list(range(7, 20))
    with pytest.raises(InputError, match="make no sections of 50, 50 % that share"):
        jaxmem.disjoint_trials(run.select(range(3)))
    chosen = run.select(np.arange(5, 35))
    assert jaxmem.disjoint_trials(chosen, (50, 50))[0].tolist() == list(range(5, 20))


def test_datamodels_as_their_authors_make_them(run, tmp_path):
    """Of margins against the highest other, and fitted again, by scikit-learn's Lasso."""
    run, _ = run
    rng = np.random.default_rng(3)
    highest = (run.test_margin + rng.normal(0, 1, (400, 2))).astype(np.float16)
    other = dataclasses.replace(
        run,
        config=dataclasses.replace(run.config, highest_margins=True),
        reader=Highest(run.reader, highest),
    )
    first = fit_datamodels(other, 1, margin="highest")
    again = fit_datamodels(other, 1, margin="highest", refit=True)
    np.testing.assert_array_equal(first.penalty, again.penalty)
    for found, rows in ((first, 280), (again, 340)):
        naive = Lasso(found.penalty[0], tol=1e-8)
        naive.fit(run.included[:rows], highest[:rows, 1].astype(float))
        np.testing.assert_allclose(found.weights[0], naive.coef_, atol=1e-3)
        np.testing.assert_allclose(found.intercept, naive.intercept_, atol=1e-3)
    kept = run.included[340:] @ again.weights[0]
    expected = spearmanr(kept, highest[340:, 1]).statistic
    np.testing.assert_allclose(again.lds, expected)


def test_what_cannot_be_fitted(run, tiny, tiny_recipe, tmp_path):
    with pytest.raises(InputError, match="test row 2 is outside 0 … 1"):
        fit_datamodels(run[0], [2])
    few = jaxmem.run_trials(tiny, 10, tmp_path / "few", margins=True, **tiny_recipe)
    with pytest.raises(InputError, match="10 trials of 10 subsets are too few"):
        fit_datamodels(few, [0])
    with pytest.raises(InputError, match="run it with --highest-margins"):
        fit_datamodels(run[0], [0], margin="highest")
    with pytest.raises(InputError, match="unknown margin 'top'; known: log-sum-exp"):
        fit_datamodels(run[0], [0], margin="top")
    plain = jaxmem.run_trials(tiny, 20, tmp_path / "plain", **tiny_recipe)
    with pytest.raises(InputError, match="stored no margins"):
        fit_datamodels(plain, [0])
