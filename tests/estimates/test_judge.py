"""Scores judged: against loops, against a truth that is linear, and refused."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.datamodels import fit_datamodels
from jaxmem.estimates.detection import detection
from jaxmem.estimates.judge import lds, mem_correlation, wrong_label_auc

N, E = 30, 12


def linear(folder, masks, noise=1.0, seed=0):
    """Foreign trials whose test margins are linear in the masks, and noise."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(N, E))
    test = masks @ weights + rng.normal(0, noise, (len(masks), E))
    train = rng.normal(size=masks.shape) + masks * np.arange(N) / 10
    return jaxmem.adopt_trials(folder, masks, train, test), weights


@pytest.fixture
def run(tmp_path):
    return linear(tmp_path / "run", np.random.default_rng(1).random((200, N)) < 0.5)


def test_lds_is_the_loop(run):
    run, weights = run
    scores = weights + np.random.default_rng(2).normal(0, 2, weights.shape)
    scores[:, 5] = 0  # ranks nothing
    found = lds(run, scores)
    expected = [
        spearmanr(run.included @ scores[:, j], run.test_margin[:, j]).statistic
        for j in range(E)
        if j != 5
    ]
    np.testing.assert_allclose(np.delete(found.by_test, 5), expected, rtol=1e-9)
    assert found.by_test[5] == 0
    np.testing.assert_allclose(found.value.value, np.sum(expected) / E)
    assert found.value.low < found.value.value < found.value.high
    assert (found.subsets, found.trainings, found.ceiling) == (200, 1, None)
    turned = lds(run, scores.T, axis=1)
    np.testing.assert_array_equal(turned.by_test, found.by_test)
    # The truth is best, and its opposite worst.
    best = lds(run, weights).value
    assert best.low > found.value.high and lds(run, -weights).value.value == -best.value


def test_lds_of_datamodels_is_theirs(run):
    """On the trials that they keep for it."""
    fitted = fit_datamodels(run[0], range(E))
    kept = run[0].select(run[0].trials[170:])
    np.testing.assert_allclose(lds(kept, fitted.weights, axis=1).by_test, fitted.lds)


def test_the_interval_covers(tmp_path):
    """It is wide rather than narrow, against the spread over other trials and examples."""
    values, covered = [], []
    for seed in range(12):
        masks = np.random.default_rng(100 + seed).random((60, N)) < 0.5
        run, weights = linear(tmp_path / f"{seed}", masks, 4.0, seed)
        value, low, high = lds(run, weights).value
        values.append(value)
        covered.append((low, high))
    middle = np.mean(values)
    assert sum(low <= middle <= high for low, high in covered) >= 9
    assert np.mean([high - low for low, high in covered]) < 12 * np.std(values)


def test_repeated_subsets_have_a_ceiling(tmp_path):
    """The truth reaches it, and single trainings stay below."""
    masks = np.repeat(np.random.default_rng(3).random((80, N)) < 0.5, 6, axis=0)
    shuffled = np.random.default_rng(4).permutation(len(masks))
    run, weights = linear(tmp_path / "repeated", masks[shuffled], noise=6.0)
    found = lds(run, weights)
    assert (found.subsets, found.trainings) == (80, 6)
    assert abs(found.ceiling - found.value.value) < 0.06
    _, first = np.unique(run.included, axis=0, return_index=True)
    single = lds(run.select(run.trials[first]), weights)
    assert single.ceiling is None and single.value.value < found.value.value - 0.1


def test_correlation_with_mem(run):
    run = run[0]
    scores = run.memorization + np.random.default_rng(0).normal(0, 0.1, N)
    found = mem_correlation(run, scores)
    for name, by in (("pearson", pearsonr), ("spearman", spearmanr)):
        value, low, high = getattr(found, name)
        np.testing.assert_allclose(value, by(scores, run.memorization).statistic)
        assert low < value < high


def test_wrong_labels_by_scores(run):
    run, wrong = run[0], np.arange(N) % 5 == 0
    scores = wrong + np.random.default_rng(0).normal(size=N)
    value, low, high = wrong_label_auc(run, scores, wrong)
    assert value == detection(scores, wrong).auc and low < value < high


def test_scores_that_cannot_be_judged(run, tiny, tiny_recipe, tmp_path):
    run, weights = run
    for scores, axis, said in (
        (weights.T, 0, r"\[12, 30\]: expected \[N, E\] = \[30, 12\]; give axis=1"),
        (weights, 1, r"\[30, 12\]: expected \[E, N\] = \[12, 30\]; give axis=0"),
        (weights[1:], 0, r"\[29, 12\]: expected \[N, E\] = \[30, 12\]$"),
        (np.where(weights > 2, np.nan, weights), 0, "of 360 scores are NaN"),
        (weights.astype(str), 0, "expected numbers"),
        (weights, 2, "unknown axis '2'"),
    ):
        with pytest.raises(InputError, match=said):
            lds(run, scores, axis)
    with pytest.raises(InputError, match="9 subsets are too few"):
        lds(run.select(range(9)), weights)
    with pytest.raises(InputError, match=r"shape \[30, 12\]: expected \[N\] = \[30\]"):
        mem_correlation(run, weights)
    with pytest.raises(InputError, match="all equal"):
        mem_correlation(run, np.ones(N))
    with pytest.raises(InputError, match=r"wrong is int64 \[30\]; expected bool \[30\]"):
        wrong_label_auc(run, weights[:, 0], np.arange(N))
    with pytest.raises(InputError, match="0 of 30 examples are wanted"):
        wrong_label_auc(run, weights[:, 0], np.zeros(N, bool))
    plain = jaxmem.run_trials(tiny, 10, tmp_path / "plain", **tiny_recipe)
    with pytest.raises(InputError, match="stored no margins: run it with --margins"):
        lds(plain, np.zeros((61, 9)))
