"""Random crops and mirror images, on the device; for training only, never for outcomes.

A view is cut out of the image at random: as large as the image, out of one padded by
`crop` zeros a side; or, with `resized_crop`, of random area and aspect ratio, and scaled
(Szegedy et al. 2015, arXiv 1409.4842, section 6; torchvision's RandomResizedCrop). With
`train_size` views are squares of that side, and outcomes are of the image's centre.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmem._shared.devices import Array
from jaxmem._shared.platforms import by_platform
from jaxmem.errors import InputError
from jaxmem.models.contract import Model
from jaxmem.training.hyperparameters import Recipe

MOST_STARTS = 16  # of views in a row or column, up to which a TPU tries each
ATTEMPTS = 10  # at a crop that fits into the image
RATIO = 4 / 3  # of width to height at most, and of height to width


class Views(NamedTuple):
    """How each place of each batch of an epoch is seen."""

    corner: jax.Array  # int32 [S, B, 2]: row and column of the crop in the padded image
    mirror: jax.Array  # bool [S, B]: left and right exchanged
    size: jax.Array | None = None  # int32 [S, B, 2]: height and width of a resized crop


def check_views(shape: tuple[int, ...], recipe: Recipe) -> None:
    """Raises InputError where a recipe cannot cut views out of images of a shape [H, W, C].

    Rows [1, D, 1] have no views at all.
    """
    h, w, c = shape
    if augments(recipe) and (h, c) == (1, 1):
        raise InputError(
            f"rows of {w} numbers are no images: give --no-mirror and 0 for --crop, "
            "--resized-crop and --train-size"
        )
    if recipe.train_size > min(h, w):
        seven_eighths = round(min(h, w) * 7 / 8)
        raise InputError(
            f"train size {recipe.train_size} is more than images of {h} x {w} have; give "
            f"--train-size={seven_eighths} or so, or a larger --image-size"
        )


def augments(recipe: Recipe) -> bool:
    """Whether training sees something else than the images as they are."""
    return bool(recipe.crop or recipe.mirror or recipe.resized_crop or recipe.train_size)


def view_shape(shape: tuple[int, ...], train_size: int) -> tuple[int, ...]:
    """The shape [H, W, C] that the network sees of images of a shape [H, W, C]."""
    return (train_size, train_size, shape[2]) if train_size else tuple(shape)


def centre(images: Array, train_size: int) -> Array:
    """The centre squares of images [R, H, W, C], of train_size a side; 0: all of them."""
    h, w, _ = view_shape(images.shape[1:], train_size)
    top, left = (images.shape[1] - h) // 2, (images.shape[2] - w) // 2
    return images[:, top : top + h, left : left + w]


def of_centre(model: Model, train_size: int) -> Model:
    """The model, but of whatever images it is given it sees the centre: see `centre`.

    Views are no larger, so that training is as without it.
    """
    if not train_size:
        return model

    def init(key, image):
        return model.init(key, centre(image[None], train_size)[0])

    def apply(params, state, images, *others):
        return model.apply(params, state, centre(images, train_size), *others)

    def features(params, state, images):
        assert model.features is not None
        return model.features(params, state, centre(images, train_size))

    return Model(init, apply, features if model.features else None, model.random)


def draw_views(
    key: jax.Array, places: tuple[int, ...], shape: tuple[int, ...], recipe: Recipe
) -> Views:
    """Views of an epoch of (S, B) places of images of a shape [H, W, C], by its key.

    In masked batches the key is a group's: it shares what is read, and what is made of it.
    """
    corner, side = jax.random.split(key)
    mirror = jax.random.bernoulli(side, jnp.float32(0.5), places) & recipe.mirror
    image = jnp.array(shape[:2], jnp.int32)
    if recipe.resized_crop:
        corner, of_size = jax.random.split(corner)
        size = _draw_sizes(of_size, places, shape, recipe.resized_crop)
        room = image[None, None] - size
        return Views(jax.random.randint(corner, size.shape, 0, room + 1), mirror, size)
    seen = jnp.array(view_shape(shape, recipe.train_size)[:2], jnp.int32)
    room = (image + 2 * recipe.crop - seen)[None, None]
    return Views(jax.random.randint(corner, (*places, 2), 0, room + 1, jnp.int32), mirror)


def _draw_sizes(
    key: jax.Array, places: tuple[int, ...], shape: tuple[int, ...], least: float
) -> jax.Array:
    """Heights and widths of resized crops: int32 [S, B, 2].

    The area is uniform between `least` and 1 of the image's, the logarithm of the aspect
    ratio between those of 3/4 and 4/3; the first of ATTEMPTS that fits, or else the largest
    crop of such a ratio.
    """
    h, w = shape[:2]
    whole = [min(h, round(w * RATIO)), min(w, round(h * RATIO))]

    def attempt(number, found):
        size, fits = found
        of_area, of_ratio = jax.random.split(jax.random.fold_in(key, number))
        area = h * w * jax.random.uniform(of_area, places, minval=least)
        bound = math.log(RATIO)
        log_ratio = jax.random.uniform(of_ratio, places, minval=-bound, maxval=bound)
        root = jnp.exp(log_ratio / 2)
        sides = jnp.sqrt(area)[..., None] * jnp.stack([1 / root, root], axis=-1)
        drawn = jnp.round(sides).astype(jnp.int32)
        inside = jnp.all((drawn >= 1) & (drawn <= jnp.array([[[h, w]]])), axis=-1)
        return jnp.where((inside & ~fits)[..., None], drawn, size), fits | inside

    size = jnp.broadcast_to(jnp.array(whole, jnp.int32)[None, None], (*places, 2))
    start = size, jnp.zeros(places, bool)
    return jax.lax.fori_loop(0, ATTEMPTS, attempt, start)[0]


def augment(images: jax.Array, views: Views, recipe: Recipe) -> jax.Array:
    """What training sees of images [B, H, W, C]: [B, h, w, C] of the same dtype.

    views: of one batch, corner [B, 2], mirror [B] and size [B, 2] or None.
    """
    shape = view_shape(images.shape[1:], recipe.train_size)
    if views.size is None:
        seen = _cut(images, views.corner, recipe.crop, shape)
    else:
        cut = functools.partial(_cut_and_scale, shape=shape)
        seen = jax.vmap(cut)(images, views.corner, views.size)
    return jnp.where(views.mirror[:, None, None, None], seen[:, :, ::-1], seen)


def _cut(images, corner, crop: int, shape: tuple[int, ...]):
    """The views at corners [B, 2] of images that are padded with `crop` zeros a side."""
    padded = jnp.pad(images, ((0, 0), (crop, crop), (crop, crop), (0, 0)))

    def sliced(padded, corner):
        def one(image, corner):
            start = (corner[0], corner[1], jnp.zeros_like(corner[0]))
            return jax.lax.dynamic_slice(image, start, shape)

        return jax.vmap(one)(padded, corner)

    def chosen(padded, corner):
        # On a TPU the slices would be cut one after another.
        for axis in (1, 2):
            size = shape[axis - 1]
            found = jax.lax.slice_in_dim(padded, 0, size, axis=axis)
            for start in range(1, padded.shape[axis] - size + 1):
                view = jax.lax.slice_in_dim(padded, start, start + size, axis=axis)
                here = corner[:, axis - 1][:, None, None, None] == start
                found = jnp.where(here, view, found)
            padded = found
        return padded

    few = (
        padded.shape[1] - shape[0] <= MOST_STARTS
        and padded.shape[2] - shape[1] <= MOST_STARTS
    )
    return by_platform(
        padded, corner, cpu=sliced, gpu=sliced, tpu=chosen if few else sliced
    )


def _cut_and_scale(image, corner, size, shape: tuple[int, ...]):
    """A crop of a size, scaled as Pillow's `resize(…, BILINEAR, box=…)` does.

    That is linear interpolation, over as wide a triangle as a pixel of the view covers.
    """
    scale = jnp.array(shape[:2], jnp.float32) / size.astype(jnp.float32)
    scaled = jax.image.scale_and_translate(
        image.astype(jnp.float32),
        shape,
        (0, 1),
        scale,
        -corner.astype(jnp.float32) * scale,
        method="linear",
        antialias=True,
    )
    if jnp.issubdtype(image.dtype, jnp.floating):
        return scaled
    # A mean of pixels lies between them: nothing to clip.
    return jnp.round(scaled).astype(image.dtype)
