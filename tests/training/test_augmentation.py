"""Crops and mirror images against NumPy and Pillow; the centre in evaluation."""

import jax
import numpy as np
import pytest
from PIL import Image

import jaxmem
from jaxmem import InputError, Recipe
from jaxmem.models import MODELS
from jaxmem.training import augmentation
from jaxmem.training.augmentation import (
    Views,
    augment,
    centre,
    check_views,
    draw_views,
    of_centre,
)
from jaxmem.training.batches import epoch_key
from jaxmem.training.keys import GROUP, Purpose, root_key

SHAPE = 32, 24, 3
PURPOSES = Purpose.AUGMENTATION, Purpose.SHARED_AUGMENTATION


def draw(batching="packed", trial=0, epoch=0, crop=4, mirror=True, seed=0, **fields):
    key = epoch_key(batching, root_key(seed), trial, epoch, *PURPOSES)
    recipe = Recipe(crop=crop, mirror=mirror, **fields)
    return jax.tree.map(np.asarray, draw_views(key, (50, 20), SHAPE, recipe))


@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_crops_and_mirrors_in_numpy(platform, monkeypatch):
    def by_platform(*args, **ways):
        return ways[platform](*args)

    monkeypatch.setattr(augmentation, "by_platform", by_platform)
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (5, 6, 7, 3), np.uint8)
    views = Views(np.array([[0, 0], [4, 4], [2, 2], [1, 3], [3, 0]]), np.arange(5) % 2 == 1)
    got = augment(images, views, Recipe(crop=2))
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for k, ((row, column), mirror) in enumerate(zip(*views[:2], strict=True)):
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
    # Pinned: runs that there are were drawn so.
    corner, _ = jax.random.split(epoch_key("packed", root_key(0), 0, 0, *PURPOSES))
    drawn = jax.random.randint(corner, (50, 20, 2), 0, 9, np.int32)
    np.testing.assert_array_equal(views.corner, drawn)
    # masked: a group of trials shares what is read.
    shared = [draw("masked", trial=trial) for trial in (0, 1)]
    assert not np.array_equal(draw("masked", trial=GROUP).corner, shared[0].corner)
    jax.tree.map(np.testing.assert_array_equal, *shared)
    assert not np.array_equal(draw("masked", epoch=1).corner, shared[0].corner)


@pytest.mark.parametrize("shape", [(40, 60, 3), (61, 44, 1)])
@pytest.mark.parametrize("train_size", [0, 20, 40])
def test_resized_crops_are_pillows(shape, train_size):
    """To a grey level: Pillow rounds after each of its two passes."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (5, 8, 8, 3), np.uint8)
    images = np.stack(
        [
            np.asarray(
                Image.fromarray(pixels).resize(shape[1::-1], Image.Resampling.BICUBIC)
            )
            for pixels in coarse
        ]
    )[..., : shape[2]]
    images = np.clip(images + rng.integers(-20, 21, images.shape), 0, 255).astype(np.uint8)
    corner = np.array([[0, 0], [3, 7], [10, 0], [0, 5], [20, 11]])
    size = np.array([shape[:2], [37, 30], [12, 15], [40, 33], [9, 29]])
    views = Views(corner, np.arange(5) % 2 == 1, size)
    got = augment(images, views, Recipe(resized_crop=0.08, train_size=train_size))
    height, width = (train_size, train_size) if train_size else shape[:2]
    assert got.shape == (5, height, width, shape[2]) and got.dtype == np.uint8
    for k, ((top, left), mirror, (h, w)) in enumerate(zip(*views, strict=True)):
        for channel in range(shape[2]):
            crop = Image.fromarray(images[k, :, :, channel]).resize(
                (width, height),
                Image.Resampling.BILINEAR,
                box=(left, top, left + w, top + h),
            )
            view = np.asarray(crop).astype(int)
            view = view[:, ::-1] if mirror else view
            assert abs(got[k, :, :, channel].astype(int) - view).max() <= 1
    # Numbers that are no pixels are not rounded.
    floats = augment(images / np.float32(7), views, Recipe(train_size=train_size))
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, got / 7, atol=0.51 / 7)


def reference_sizes(rng, height, width, least, count):
    """torchvision's RandomResizedCrop.get_params, in NumPy: its heights and widths."""
    found = []
    for _ in range(count):
        for _ in range(10):
            area = height * width * rng.uniform(least, 1)
            ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                break
        found.append((h, w))
    return np.array(found)


def test_sizes_of_resized_crops():
    views = draw(crop=0, resized_crop=0.08)
    height, width, _ = SHAPE
    assert views.corner.min() >= 0 and views.size.min() >= 1
    beyond = (views.corner + views.size).reshape(-1, 2).max(axis=0)
    assert beyond.tolist() == [height, width]
    many = np.concatenate(
        [draw(crop=0, resized_crop=0.08, epoch=e).size.reshape(-1, 2) for e in range(20)]
    )
    reference = reference_sizes(np.random.default_rng(0), height, width, 0.08, 20_000)
    for of in (
        lambda s: s[:, 0],
        lambda s: s[:, 1],
        lambda s: s.prod(axis=1),
        lambda s: np.log(s[:, 1] / s[:, 0]),
        lambda s: s.prod(axis=1) > 0.5 * height * width,
    ):
        mine, other = of(many), of(reference)
        error = np.sqrt((mine.var() + other.var()) / 20_000)
        assert abs(mine.mean() - other.mean()) < 5 * error
    # None of these fits: the largest one that does.
    tall = draw_views(jax.random.key(0), (2, 3), (60, 10, 3), Recipe(resized_crop=1))
    assert np.unique(tall.size.reshape(-1, 2), axis=0).tolist() == [[13, 10]]
    for change in ({"trial": 1}, {"epoch": 1}, {"seed": 1}):
        other = draw(crop=0, resized_crop=0.08, **change)
        assert not np.array_equal(other.size, views.size)
        assert not np.array_equal(other.corner, views.corner)
    shared = [draw("masked", trial=t, crop=0, resized_crop=0.08) for t in (0, 1)]
    jax.tree.map(np.testing.assert_array_equal, *shared)


def test_crops_of_another_size():
    views = draw(crop=2, train_size=20)
    assert views.corner.reshape(-1, 2).min(axis=0).tolist() == [0, 0]
    assert views.corner.reshape(-1, 2).max(axis=0).tolist() == [16, 8]
    images = np.arange(2 * 32 * 24 * 3).reshape(2, 32, 24, 3).astype(np.float32)
    views = Views(np.array([[2, 2], [14, 6]]), np.array([False, False]))
    got = augment(images, views, Recipe(crop=2, train_size=20))
    np.testing.assert_array_equal(got[0], images[0, :20, :20])
    np.testing.assert_array_equal(got[1], images[1, 12:32, 4:24])


def test_the_network_sees_the_centre():
    images = np.random.default_rng(0).random((4, 9, 8, 3), np.float32)
    inside = centre(images, 5)
    np.testing.assert_array_equal(inside, images[:, 2:7, 1:6])
    assert centre(images, 0) is not None and centre(images, 0).shape == images.shape
    model = MODELS["mlp"](jaxmem.models.Spec(3, (4,)))
    cropped = of_centre(model, 5)
    params, state = cropped.init(jax.random.key(0), images[0])
    assert params["Dense_0"]["kernel"].shape == (75, 4)
    for weights in (None, np.ones(4, np.float32)):
        logits, _ = cropped.apply(params, state, images, weights)
        np.testing.assert_array_equal(
            logits, model.apply(params, state, inside, weights)[0]
        )
        # Views are of that size already.
        np.testing.assert_array_equal(
            logits, cropped.apply(params, state, inside, weights)[0]
        )
    np.testing.assert_array_equal(
        cropped.features(params, state, images), model.features(params, state, inside)
    )
    assert of_centre(model, 0) is model


@pytest.mark.parametrize(
    "shape, fields, said",
    [
        (
            (4, 4, 1),
            {"train_size": 5},
            "train size 5 is more than images of 4 x 4 have; gi",
        ),
        ((1, 30, 1), {"resized_crop": 0.5}, "rows of 30 numbers are no images: give --no-"),
        ((1, 30, 1), {"mirror": True}, "rows of 30 numbers are no images: give --no-mir"),
    ],
)
def test_views_that_cannot_be(shape, fields, said):
    with pytest.raises(InputError, match=said):
        check_views(shape, Recipe(**fields))
    check_views((4, 4, 1), Recipe(train_size=4, resized_crop=0.5, mirror=True))
    check_views((1, 30, 1), Recipe())


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


@pytest.mark.parametrize("batching", ["packed", "masked"])
def test_resized_crops_are_of_training_alone(tiny, tiny_recipe, tmp_path, batching):
    """What is stored is what kept models say of the centre."""
    arguments = {**tiny_recipe, "batching": batching, "resized_crop": 0.3, "train_size": 3}
    run = jaxmem.run_trials(tiny, 4, tmp_path / "a", keep_models=True, **arguments)
    plain = jaxmem.run_trials(tiny, 4, tmp_path / "b", **{**arguments, "resized_crop": 0})
    assert run.config.parameters == plain.config.parameters == 3 * 3 * 5 + 5 + 5 * 3 + 3
    np.testing.assert_array_equal(run.included, plain.included)
    assert not np.array_equal(run.final_loss, plain.final_loss)
    asked = jaxmem.predict_trials(run.workdir, tiny._replace(test=tiny.train))
    np.testing.assert_array_equal(asked.test_correct, run.train_correct)
    # What lies outside of the centre never decides.
    blank = tiny.train.images.copy()
    blank[:, 3], blank[:, :, 3] = 0, 0
    masked = tiny._replace(test=tiny.train._replace(images=blank))
    asked = jaxmem.predict_trials(run.workdir, masked)
    np.testing.assert_array_equal(asked.test_correct, run.train_correct)
    # A trial is a function of (seed, trial): alone as among others.
    first = jaxmem.run_trials(tiny, 1, tmp_path / "c", **arguments)
    np.testing.assert_array_equal(first.train_correct[0], run.train_correct[0])
    assert first.final_loss[0] == run.final_loss[0]
