"""Learning dynamics against a table of what every step of a training said."""

import functools
import itertools

import jax
import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.models import Spec, make_model
from jaxmem.training import fitting
from jaxmem.training.dynamics import Seen, add_seen, no_dynamics
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import Arrays, make_job
from jaxmem.training.keys import root_key
from jaxmem.training.outcomes import DYNAMICS
from jaxmem.training.subsets import SubsetRule
from jaxmem.training.trial import advance_trial, draw_batches, evaluate_trial, init_trial

EPOCHS, TRIAL = 7, 3


def make(data, batching, sampling="uniform"):
    recipe = Recipe(
        epochs=EPOCHS, batch_size=8, hidden=(9,), learning_rate=0.3, label_smoothing=0.1
    )
    model = make_model("mlp", Spec(3, (9,)))
    rule = SubsetRule(61, 43, sampling, 0.7)
    names = *sorted(DYNAMICS), "included"
    return make_job(model, recipe, batching, rule, 3, names), Arrays.of(data), root_key(5)


def table(job, data, root):
    """Loss, margin, correctness of each example by epoch: [epochs, N]; NaN: unseen."""
    loss, margin, correct = np.full((3, EPOCHS, 61), np.nan)

    @jax.jit
    def draw(epoch):
        subset = job.subsets.draw(root, TRIAL, None)
        return draw_batches(job, data, root, TRIAL, subset, epoch)

    step = jax.jit(functools.partial(fitting.train_step, job.learner))
    init = jax.jit(lambda: init_trial(job, data, root, TRIAL)._replace(dynamics=None))
    state = init()
    for epoch in range(EPOCHS):
        batches = jax.tree.map(np.asarray, draw(epoch))
        for rows, weight in zip(batches.index, batches.weight, strict=True):
            labels = data.train_labels[rows]
            state, logits = step(state, data.train_images[rows], labels, weight)
            for row, label, z, w in zip(
                rows, labels, np.asarray(logits), weight, strict=True
            ):
                if w == 0:
                    continue
                assert np.isnan(loss[epoch, row])  # once an epoch
                z = z.astype(np.float64)
                loss[epoch, row] = np.log(np.exp(z - z[label]).sum())
                margin[epoch, row] = z[label] - np.delete(z, label).max()
                correct[epoch, row] = z.argmax() == label
    return loss, margin, correct


def naive(correct):
    """(epochs correct, forgetting events, learnt epoch) of one example's epochs."""
    right = [bool(c) for c in correct]
    forgotten = sum(a and not b for a, b in itertools.pairwise(right))
    learnt = next(e for e in range(1, EPOCHS + 2) if all(right[e - 1 :]))
    return sum(right), forgotten, learnt


@pytest.mark.parametrize(
    ("batching", "sampling"),
    [("packed", "uniform"), ("packed", "bernoulli"), ("masked", "uniform")],
)
def test_against_a_table_of_all_steps(tiny, batching, sampling):
    job, data, root = make(tiny, batching, sampling)
    loss, margin, correct = table(job, data, root)

    @jax.jit
    def outcomes(data):
        state = init_trial(job, data, root, TRIAL)
        state = advance_trial(job, data, root, TRIAL, state, 0, EPOCHS)
        return evaluate_trial(job, data, root, TRIAL, state)

    got = {name: np.asarray(rows) for name, rows in outcomes(data).items()}
    seen = np.unpackbits(got["included"], count=61).astype(bool)
    assert 0 < seen.sum() < 61
    np.testing.assert_array_equal(np.isnan(loss).all(axis=0), ~seen)
    assert 0.2 < np.nanmean(correct) < 0.98  # neither all right nor all wrong
    expected = np.array([naive(rows) for rows in correct.T[seen]]).T
    names = "epochs_correct", "forgetting_events", "learnt_epoch"
    for name, counts in zip(names, expected, strict=True):
        np.testing.assert_array_equal(got[name][seen], counts, err_msg=name)
        assert not got[name][~seen].any(), name
    assert expected[1].max() >= 1
    np.testing.assert_allclose(got["cumulative_loss"][seen], loss.sum(axis=0)[seen], 1e-3)
    np.testing.assert_allclose(
        got["mean_training_margin"][seen], margin.mean(axis=0)[seen], 2e-3, 1e-3
    )
    assert not got["cumulative_loss"][~seen].any()
    assert not got["mean_training_margin"][~seen].any()


def test_two_halves_of_an_epoch_are_one():
    rng = np.random.default_rng(0)
    seen = Seen(*rng.normal(size=(2, 4, 3)).astype(np.float32), rng.random((4, 3)) < 0.5)
    index, weight = rng.permutation(12).reshape(4, 3), np.ones((4, 3), np.float32)
    at_once = add_seen(no_dynamics(12), index, weight, seen)
    parts = no_dynamics(12)
    for half in (slice(2), slice(2, 4)):
        parts = add_seen(parts, index[half], weight[half], Seen(*(a[half] for a in seen)))
    for ours, theirs in zip(parts, at_once, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_they_change_no_model_and_average_over_those_that_saw(tiny, tiny_recipe, tmp_path):
    how = {"trials": 9, **tiny_recipe}
    with_them = jaxmem.run_trials(tiny, workdir=tmp_path / "a", dynamics=True, **how)
    without = jaxmem.run_trials(tiny, workdir=tmp_path / "b", **how)
    for name in ("included", "train_correct", "test_correct", "final_loss"):
        np.testing.assert_array_equal(getattr(with_them, name), getattr(without, name))
    found = jaxmem.dynamics.learning_dynamics(with_them)
    stored = with_them.reader.read("cumulative_loss", with_them.trials).astype(float)
    for row in range(61):
        inside = with_them.included[:, row]
        assert found.trials[row] == inside.sum()
        mean = stored[inside, row].mean() if inside.any() else np.nan
        np.testing.assert_allclose(found.cumulative_loss[row], mean)
    epochs = with_them.config.recipe.epochs
    known = found.trials > 0
    assert np.all(
        (found.learnt_epoch[known] >= 1) & (found.learnt_epoch[known] <= epochs + 1)
    )
    for name, proxy in found.proxies.items():
        order = found.cumulative_loss[known]
        if name != "forgetting_events":  # what is never learnt is not forgotten
            assert np.corrcoef(proxy[known], order)[0, 1] > 0.3, name
    table = with_them.scores()
    np.testing.assert_array_equal(table["learnt_epoch"], found.learnt_epoch)
    assert "learnt_epoch" not in without.scores().column_names
    with pytest.raises(InputError, match="stored no dynamics: run it with --dynamics"):
        jaxmem.dynamics.learning_dynamics(without)
