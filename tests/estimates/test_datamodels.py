"""Datamodels recover margins that are linear, and predict real ones."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import spearmanr

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.datamodels import fit_datamodels


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
    for lds, row in zip(found.lds, (1, 0), strict=True):
        truth = run.included[340:] @ weights[row]
        expected = spearmanr(truth, run.test_margin[340:, row].astype(float)).statistic
        assert expected > 0.8 and abs(lds - expected) < 0.1
    shuffled = np.random.default_rng(1).permutation(run.test_margin, axis=0)
    other = dataclasses.replace(run)
    other.__dict__["test_margin"] = shuffled
    lds = fit_datamodels(other, [0, 1]).lds
    assert (np.isnan(lds) | (np.abs(lds) < 0.35)).all()


def test_what_cannot_be_fitted(run, tiny, tiny_recipe, tmp_path):
    with pytest.raises(InputError, match="test row 2 is outside 0 … 1"):
        fit_datamodels(run[0], [2])
    few = jaxmem.run_trials(tiny, 10, tmp_path / "few", margins=True, **tiny_recipe)
    with pytest.raises(InputError, match="10 trials are too few"):
        fit_datamodels(few, [0])
    plain = jaxmem.run_trials(tiny, 20, tmp_path / "plain", **tiny_recipe)
    with pytest.raises(InputError, match="stored no margins"):
        fit_datamodels(plain, [0])
