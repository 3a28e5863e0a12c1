"""Probabilities and margins against their definitions, and against the real digits."""

import jax
import numpy as np
import pytest
from runs import LIKE
from scipy.special import softmax
from scipy.stats import norm

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.detection import detection
from jaxmem.estimates.membership import lira_scores, membership_roc, true_positive_rate
from jaxmem.estimates.soft import (
    out_of_sample_probabilities,
    soft_influence,
    soft_memorization,
)
from jaxmem.models import Model
from jaxmem.storage.checkpoints import KeptModels
from jaxmem.training import fitting
from jaxmem.training.inputs import to_float


@pytest.fixture
def run(tiny, tiny_recipe, tmp_path):
    return jaxmem.run_trials(tiny, 30, tmp_path / "run", margins=True, **tiny_recipe)


def test_margin_is_that_of_the_probability():
    """sigmoid(margin) is the softmax's chance of the label."""
    logits = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * 5
    labels = np.arange(50) % 4
    model = Model(None, lambda params, state, images, _: (images.reshape(-1, 4), state))
    state = fitting.TrainState({}, {}, {})
    found = fitting.predict(model, state, logits.reshape(50, 2, 2, 1), labels)
    chance = np.asarray(jax.nn.softmax(logits))[np.arange(50), labels]
    np.testing.assert_allclose(jax.nn.sigmoid(found.margin), chance, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(np.exp(-found.loss), chance, rtol=1e-5, atol=1e-7)


def forward(params, images):
    """Class probabilities of the tiny MLP, in NumPy: [R, 3]."""
    hidden = images.reshape(-1, 16) @ params["Dense_0"]["kernel"]
    hidden = np.maximum(hidden + params["Dense_0"]["bias"], 0)
    return softmax(hidden @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"], axis=1)


def test_out_of_sample_probabilities(tiny, tiny_recipe, tmp_path):
    """The mean softmax of those kept models that did not see an example."""
    flags = {"probabilities": True, "keep_models": True, **tiny_recipe}
    runs = [jaxmem.run_trials(tiny, t, tmp_path / f"{t}", seed=t, **flags) for t in (20, 9)]
    merged = jaxmem.merge_runs(runs)
    assert merged.reader.read("held_out_probability", np.array([3, 28, 7])).shape == (
        3,
        18,
        3,
    )
    sums, count = np.zeros((61, 3)), np.zeros((61, 1))
    for run in runs:
        for numbers, block in KeptModels(run.workdir).blocks(LIKE):
            for place, number in enumerate(numbers):
                params = jax.tree.map(lambda a: a[place], block["params"])  # noqa: B023
                excluded = ~run.included[number]
                scaling = jax.tree.map(lambda a: a[place], block["scaling"])  # noqa: B023
                images = np.asarray(to_float(tiny.train.images, scaling))
                sums[excluded] += forward(params, images)[excluded]
                count[excluded] += 1
        some = count[:, 0] > 0
        found = out_of_sample_probabilities(run if run is runs[0] else merged)
        np.testing.assert_allclose(found[some], (sums / count.clip(1))[some], atol=1e-3)
        np.testing.assert_array_equal(np.isnan(found[:, 0]), ~some)
        np.testing.assert_allclose(found[some].sum(axis=1), 1, rtol=1e-12)


def test_probabilities_that_are_not_there(run, tiny, tiny_recipe):
    with pytest.raises(InputError, match="no probabilities: run it with --probabilities"):
        out_of_sample_probabilities(run)
    with pytest.raises(InputError, match="everything leave no held-out probabilities"):
        masks = np.ones((2, 61), bool)
        jaxmem.run_trials(tiny, masks=masks, probabilities=True, **tiny_recipe)


def test_stored_margins_say_what_the_bits_say(run, tiny, tiny_recipe, tmp_path):
    assert run.train_margin.shape == (30, 61) and run.train_margin.dtype == np.float16
    assert run.test_margin.shape == (30, 9)
    # A chance above 1/2 is right; below 1/3, the label is not the likeliest of three.
    for margin, correct in (
        (run.train_margin, run.train_correct),
        (run.test_margin, run.test_correct),
    ):
        assert (
            correct[margin > 0.01].all() and not correct[margin < np.log(0.5) - 0.01].any()
        )
    plain = jaxmem.run_trials(tiny, 30, tmp_path / "plain", **tiny_recipe)
    np.testing.assert_array_equal(plain.train_correct, run.train_correct)
    with pytest.raises(InputError, match="stored no margins: run it with --margins"):
        soft_memorization(plain)
    with pytest.raises(InputError, match=r"margins \(False there, True here\)"):
        jaxmem.run_trials(tiny, 30, plain.workdir, margins=True, **tiny_recipe)


def welch(chance, inside):
    a, b = chance[inside], chance[~inside]
    se = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
    return a.mean() - b.mean(), se


def test_soft_estimates_are_means_of_probabilities(run):
    def chance(margin):
        return 1 / (1 + np.exp(-margin.astype(np.float64)))

    expected = [
        welch(chance(run.train_margin[:, i]), run.included[:, i]) for i in range(61)
    ]
    np.testing.assert_allclose(np.transpose(soft_memorization(run)), expected, rtol=1e-9)
    found = soft_influence(run, [7, 3])
    for row, i in enumerate((7, 3)):
        for j in range(9):
            value, se = welch(chance(run.test_margin[:, j]), run.included[:, i])
            np.testing.assert_allclose(found.value[row, j], value, rtol=1e-9)
            np.testing.assert_allclose(found.se[row, j], se, rtol=1e-9)


def test_lira_by_hand(run):
    scores = lira_scores(run, 4)
    margin = run.train_margin.astype(np.float64)
    for i in (0, 30, 60):
        others = np.arange(30) != 4
        inside = margin[run.included[:, i] & others, i]
        outside = margin[~run.included[:, i] & others, i]
        expected = norm.logpdf(margin[4, i], inside.mean(), inside.std(ddof=1))
        expected -= norm.logpdf(margin[4, i], outside.mean(), outside.std(ddof=1))
        np.testing.assert_allclose(scores[i], expected, rtol=1e-9)
    with pytest.raises(InputError, match="target 30 is outside 0 … 29"):
        lira_scores(run, 30)


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


def test_an_overfitted_network_gives_its_members_away(digits, tmp_path):
    """On digits with a tenth of wrong labels, members are found far above chance."""
    labels = digits.train.labels.copy()
    labels[::10] = (labels[::10] + 1) % 10
    noisy = digits._replace(train=digits.train._replace(labels=labels))
    run = jaxmem.run_trials(
        noisy, 60, tmp_path, margins=True, width=1, subset_fraction=0.5, epochs=40
    )
    scores = np.stack([lira_scores(run, target) for target in range(10)])
    members = run.included[:10]
    assert true_positive_rate(scores, members, 0.01) > 0.05
    wrong = np.zeros(labels.size, bool)
    wrong[::10] = True
    assert true_positive_rate(scores[:, wrong], members[:, wrong], 0.01) > 0.5
    # Soft memorization finds the wrong labels, as the hard one does.
    soft = soft_memorization(run)
    assert detection(soft.value, wrong).auc > 0.95
    assert np.corrcoef(soft.value, run.memorization)[0, 1] > 0.85
