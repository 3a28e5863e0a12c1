"""Fine-tuning: from a kept model, and with frozen parameters that all trials share."""

import functools

import jax
import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.models import Model, Spec, make_model
from jaxmem.models.freezing import by_path, frozen, started, values_to_freeze
from jaxmem.running.prediction import kept_model
from jaxmem.training.ensemble import make_ensemble
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.subsets import SubsetRule

SHAPE = (4, 4, 1)


@pytest.fixture
def train(tiny, tiny_recipe, tmp_path):
    """Trials of tiny in a folder, after two that were kept in "base"."""

    def run(folder, trials=4, **arguments):
        return jaxmem.run_trials(
            tiny, trials, tmp_path / folder, keep_models=True, **tiny_recipe, **arguments
        )

    run("base", 2)
    return functools.partial(run, init_from=f"{tmp_path}/base/models:1")


def test_from_a_kept_model(train, tiny, tmp_path):
    run = train("all")
    theirs, _ = kept_model(tmp_path / "base", 1, tiny)
    ours, _ = kept_model(tmp_path / "all", 2, tiny)
    assert all(not np.array_equal(a, by_path(theirs)[n]) for n, a in by_path(ours).items())
    assert run.config.parameters == 16 * 5 + 5 + 5 * 3 + 3
    with pytest.raises(InputError, match=r"given or frozen parameters .* differ"):
        train("all", init_from=f"{tmp_path}/base/models:0")


@pytest.mark.parametrize("trainable", ["head", lambda path: path.startswith("Dense_1")])
def test_the_head_alone(train, tiny, tmp_path, trainable):
    run = train("head", trainable=trainable)
    theirs, ours = (by_path(kept_model(tmp_path / f, 1, tiny)[0]) for f in ("base", "head"))
    for name, value in theirs.items():
        assert np.array_equal(ours[name], value) == name.startswith("Dense_0")
    assert run.config.parameters == 5 * 3 + 3
    predicted = jaxmem.predict_trials(tmp_path / "head", tiny)
    np.testing.assert_array_equal(predicted.test_correct, run.test_correct)
    # The rows from the host: the same bits.
    hosted = train("host", trainable=trainable, placement="host")
    np.testing.assert_array_equal(hosted.train_correct, run.train_correct)


def test_what_is_frozen_is_there_once(tiny):
    """No state of a trial holds it, nor a gradient or a momentum of it."""
    model = make_model("mlp", Spec(3, (64,)))
    params, _ = model.init(root_key(7), np.zeros(SHAPE, np.float32))
    model = started(model, by_path(params), {})
    values = values_to_freeze(model, SHAPE, "head")
    assert sorted(values) == ["Dense_0.bias", "Dense_0.kernel"]
    model = frozen(model, SHAPE, values)
    job = make_job(model, Recipe(batch_size=8), "packed", SubsetRule(61, 40), 3)
    ensemble = make_ensemble(job, tiny, root_key(0))
    states = ensemble.programs(2).init(ensemble.place(np.arange(8, dtype=np.int32)))
    assert sum(a.size for a in jax.tree.leaves(states.params)) == 8 * (64 * 3 + 3)
    assert all(a.size < 8 * 64 * 4 for a in jax.tree.leaves(states))
    shared = jax.tree.leaves(ensemble.data.shared)
    assert sum(a.size for a in shared) == 16 * 64 + 64


@pytest.mark.parametrize(
    "given, said",
    [
        ({"trainable": "head"}, "Dense_0.kernel is drawn anew; give --init-from"),
        ({"trainable": "tail"}, "unknown train 'tail'; known: head"),
        ({"init_from": "base"}, "init from 'base': give WORKDIR/models:TRIAL"),
        ({"init_from": "{}/base/models:7"}, "kept no model of trial 7"),
        (
            {"init_from": "{}/base/models:1", "trainable": lambda path: True},
            "none of the parameters are frozen: Dense_0.bias, Dense_0.kernel",
        ),
        (
            {"init_from": "{}/base/models:1", "model": "cnn"},
            "no parameter of this netw",
        ),
    ],
)
def test_bad_starts(train, tiny, tiny_recipe, tmp_path, given, said):
    given = {k: v.format(tmp_path) if isinstance(v, str) else v for k, v in given.items()}
    with pytest.raises(InputError, match=said):
        jaxmem.run_trials(tiny, 1, tmp_path / "bad", **tiny_recipe, **given)
    assert not (tmp_path / "bad").exists()


def test_a_model_without_a_dense_layer():
    def init(key, image):
        return {"w": np.ones(3, np.float32), "b": np.ones(3, np.float32)}, {}

    def apply(params, state, images, weights):
        return images.mean((1, 2)) * params["w"][None] + params["b"][None], state

    with pytest.raises(InputError, match="no last dense layer; give trainable="):
        values_to_freeze(Model(init, apply), SHAPE, "head")
