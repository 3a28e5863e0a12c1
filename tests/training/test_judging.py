"""Subsets and recipes of models that judge labels."""

import numpy as np
import pytest

from jaxmem.training.judging import judging_masks, judging_model, judging_recipe
from jaxmem.training.recipes import recipe_for


@pytest.mark.parametrize("m, aside", [(50, 0), (50, 10), (40, 30)])
def test_masks_are_balanced(m, aside):
    labels = np.repeat(np.arange(4), (50, 30, 18, 2))
    kept = np.ones(100, bool)
    kept[:aside] = False
    masks = judging_masks(labels, kept, m, 7, seed=3)
    assert masks.shape == (7, 100) and (masks.sum(axis=1) == m).all()
    assert not masks[:, ~kept].any()
    times = (~masks[:, kept]).sum(axis=0)
    assert times.max() - times.min() <= 1 and times.min() >= 1
    np.testing.assert_array_equal(masks, judging_masks(labels, kept, m, 7, seed=3))
    assert (masks != judging_masks(labels, kept, m, 7, seed=4)).any()


def test_classes_are_left_out_alike():
    labels = np.repeat(np.arange(3), (60, 30, 10))
    masks = judging_masks(labels, np.ones(100, bool), 50, 20, seed=0)
    for label in range(3):
        seen = masks[:, labels == label].mean(axis=1)
        assert seen.min() >= 0.4 and seen.max() <= 0.6


def test_models_and_recipes_by_the_data():
    assert judging_model((28, 28, 1)) == judging_model((4, 5, 3)) == "cnn"
    assert judging_model((1, 30, 1)) == judging_model((3, 28, 1)) == "mlp"
    for m, batch, epochs in ((5, 5, 12), (718, 32, 12), (2500, 64, 8), (30000, 128, 4)):
        recipe = recipe_for("mnist", "cnn", m, **judging_recipe(m))
        assert recipe.batch_size == batch and recipe.epochs == epochs
        assert recipe.standardize and recipe.weight_decay > 0
