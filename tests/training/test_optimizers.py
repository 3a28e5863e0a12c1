"""Optax's optimisers by name, and the user's own."""

import jax
import numpy as np
import optax
import pytest

import jaxmem
from jaxmem.training import optimizers
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.optimizers import check_optimizer, make_optimizer
from jaxmem.training.recipes import recipe_for

PARAMS = {"kernel": np.full((2, 3), 0.5, np.float32), "bias": np.ones(3, np.float32)}


def kernels(params):
    return jax.tree.map(lambda a: a.ndim > 1, params)


@pytest.mark.parametrize(
    "recipe, same",
    [
        ({"optimizer": "sgd", "momentum": 0.0}, optax.sgd(0.1)),
        ({"optimizer": "nesterov"}, optax.sgd(0.1, 0.9, nesterov=True)),
        (
            {"optimizer": "lamb", "weight_decay": 0.2, "optimizer_options": "b2=0.9"},
            optax.lamb(0.1, 0.9, 0.9, weight_decay=0.2, mask=kernels),
        ),
        (
            {"optimizer": "lion", "momentum": 0.8, "weight_decay": 0.2},
            optax.lion(0.1, 0.8, weight_decay=0.2, mask=kernels),
        ),
        (
            {"optimizer": "rmsprop", "weight_decay": 0.2},
            optax.chain(
                optax.add_decayed_weights(0.2, kernels), optax.rmsprop(0.1, momentum=0.9)
            ),
        ),
        ({"optimizer": "adam", "optimizer_options": "eps=0.5"}, optax.adam(0.1, eps=0.5)),
    ],
)
def test_names_and_arguments_are_optaxs(recipe, same):
    ours = make_optimizer(Recipe(learning_rate=0.1, **recipe), 10)
    state, reference = ours.init(PARAMS), same.init(PARAMS)
    gradient = jax.tree.map(lambda a: a * np.float32(0.3), PARAMS)
    for _ in range(2):
        found, state = ours.update(gradient, state, PARAMS)
        wanted, reference = same.update(gradient, reference, PARAMS)
        jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_every_name_is_tried_or_refused():
    names = [n for n, f in vars(optax).items() if optimizers._makes_optimizer(n, f)]
    assert {"adamw", "lamb", "lion", "sgd", "adafactor"} <= set(names)
    refused = []
    for name in names:
        try:
            check_optimizer(Recipe(optimizer=name))
        except jaxmem.InputError as error:
            assert name in str(error) and "\n" not in str(error)
            refused.append(name)
    # They want the loss, draw numbers, or need an argument that nobody gave.
    assert set(refused) <= {"lbfgs", "noisy_sgd", "optimistic_adam"}


def test_others_than_sgd_have_a_rate_of_their_own():
    assert recipe_for(None, "mlp", 1000, optimizer="lion").learning_rate == 1e-3
    assert recipe_for(None, "mlp", 1000, optimizer="nesterov").learning_rate == 0.1
    given = recipe_for("mnist", "mlp", 1000, optimizer="lion", learning_rate=0.02)
    assert given.learning_rate == 0.02


def test_a_function_of_ones_own(tiny, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(optimizers, "OPTIMIZERS", {})

    def halves(learning_rate, share=0.5):
        return optax.chain(optax.scale(share), optax.sgd(learning_rate))

    recipe = {**tiny_recipe, "momentum": 0.0, "weight_decay": 0.0}
    options = {"share": 0.25}
    run = jaxmem.run_trials(
        tiny,
        4,
        tmp_path / "own",
        **{**recipe, "learning_rate": 0.4},
        optimizer=halves,
        optimizer_options=options,
    )
    assert run.config.recipe.optimizer == "halves"
    assert run.config.recipe.optimizer_options == "share=0.25"
    plain = {**recipe, "learning_rate": 0.1, "optimizer": "sgd"}
    same = jaxmem.run_trials(tiny, 4, tmp_path / "sgd", **plain)
    np.testing.assert_array_equal(run.train_correct, same.train_correct)
    with pytest.raises(jaxmem.InputError, match="optimizer sgd is called as one"):
        halves.__name__ = "sgd"
        jaxmem.run_trials(tiny, 4, tmp_path / "sgd", **recipe, optimizer=halves)
