import jax
import numpy as np
import pytest

import jaxmem
from jaxmem.training.augmentation import Views, augment, draw_views
from jaxmem.training.batches import epoch_key
from jaxmem.training.keys import GROUP, Purpose, root_key

PURPOSES = Purpose.AUGMENTATION, Purpose.SHARED_AUGMENTATION


def draw(batching="packed", trial=0, epoch=0, crop=4, mirror=True, seed=0):
    key = epoch_key(batching, root_key(seed), trial, epoch, *PURPOSES)
    return jax.tree.map(np.asarray, draw_views(key, (50, 20), crop, mirror))


def test_crops_and_mirrors_in_numpy():
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (5, 6, 7, 3), np.uint8)
    views = Views(np.array([[0, 0], [4, 4], [2, 2], [1, 3], [3, 0]]), np.arange(5) % 2 == 1)
    got = augment(images, views, crop=2)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for k, ((row, column), mirror) in enumerate(zip(*views, strict=True)):
        view = padded[k, row : row + 6, column : column + 7]
        np.testing.assert_array_equal(got[k], view[:, ::-1] if mirror else view)
    np.testing.assert_array_equal(got[2], images[2])
    assert got.dtype == np.uint8


def test_views_are_uniform_and_keyed():
    views = draw()
    assert views.corner.min() == 0 and views.corner.max() == 8
    counts = np.bincount(views.corner.ravel(), minlength=9)
    assert abs(counts / 2000 - 1 / 9).max() < 5 * np.sqrt(1 / 9 * 8 / 9 / 2000)
    assert abs(views.mirror.mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)
    assert not draw(mirror=False).mirror.any() and not draw(crop=0).corner.any()
    for change in ({"trial": 1}, {"epoch": 1}, {"seed": 1}):
        assert not np.array_equal(draw(**change).corner, views.corner)
    # masked: a group of trials shares what is read.
    shared = [draw("masked", trial=trial) for trial in (0, 1)]
    assert not np.array_equal(draw("masked", trial=GROUP).corner, shared[0].corner)
    jax.tree.map(np.testing.assert_array_equal, *shared)
    assert not np.array_equal(draw("masked", epoch=1).corner, shared[0].corner)


@pytest.mark.parametrize("batching", ["packed", "masked"])
def test_augmentation_is_of_training_alone(tiny, tiny_recipe, tmp_path, batching):
    """A crop as large as the image blanks most views: training suffers, outcomes do not."""
    arguments = {**tiny_recipe, "batching": batching, "epochs": 40, "keep_models": True}
    plain = jaxmem.run_trials(tiny, 4, tmp_path / "plain", **arguments)
    blank = jaxmem.run_trials(tiny, 4, tmp_path / "blank", crop=50, **arguments)
    mirrored = jaxmem.run_trials(tiny, 4, tmp_path / "mirror", mirror=True, **arguments)
    np.testing.assert_array_equal(plain.included, blank.included)
    assert plain.final_loss.mean() < blank.final_loss.mean() - 0.05
    assert not np.array_equal(plain.final_loss, mirrored.final_loss)
    # What is stored is what the kept models say of the images as they are.
    for run in (blank, mirrored):
        asked = jaxmem.predict_trials(run.workdir, tiny._replace(test=tiny.train))
        np.testing.assert_array_equal(asked.test_correct, run.train_correct)
