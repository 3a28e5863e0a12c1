"""The recipe of data without one of their own."""

import numpy as np
import pytest

import jaxmem
from jaxmem.training.recipes import general_recipe, recipe_for


@pytest.mark.parametrize("m", [1, 40, 63, 64, 500, 1999, 2000, 42_000, 10**6])
def test_there_are_steps_enough_for_few_examples(m):
    recipe = general_recipe(m)
    recipe.validate()
    steps = recipe.epochs * -(-m // recipe.batch_size)
    assert recipe.epochs == 200 or recipe.epochs == 30 or 1200 < steps <= 1300


def test_fewer_epochs_have_a_shorter_warmup():
    assert recipe_for(None, "mlp", 1000, epochs=1).warmup == pytest.approx(0.05)
    assert recipe_for(None, "mlp", 1000, epochs=9, warmup=3).warmup == 3
    assert recipe_for(None, "vit", 50).batch_size == 50
    assert recipe_for("mnist", "cnn", 1000, epochs=2).warmup == 0.5  # its own is kept


def test_it_fits_wrong_labels(digits, tmp_path):
    rng = np.random.default_rng(0)
    labels = digits.train.labels.copy()
    wrong = rng.choice(labels.size, labels.size // 10, replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, wrong.size)) % 10
    data = digits._replace(train=digits.train._replace(labels=labels), recipes=None)
    run = jaxmem.run_trials(data, 8, tmp_path, width=2)
    seen = run.included[:, wrong]
    assert run.train_correct[:, wrong][seen].mean() >= 0.99
    assert np.nanmedian(run.memorization[wrong]) >= 0.9
    assert run.test_accuracy.mean() > 0.9
