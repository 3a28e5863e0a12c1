"""Probabilities and margins against their definitions."""

import jax
import numpy as np
import pytest
from runs import LIKE
from scipy.special import softmax

import jaxmem
from jaxmem import InputError
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
