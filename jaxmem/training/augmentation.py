"""Random crops and mirror images, on the device; for training only, never for outcomes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Views(NamedTuple):
    """How each place of each batch of an epoch is seen."""

    corner: jax.Array  # int32 [S, B, 2]: row and column of the crop in the padded image
    mirror: jax.Array  # bool [S, B]: left and right exchanged


def draw_views(key: jax.Array, shape: tuple[int, ...], crop: int, mirror: bool) -> Views:
    """Views of an epoch of S batches of B examples, shape (S, B), by the epoch's key.

    In masked batches the key is a group's: it shares what is read, and what is made of it.
    """
    corner, side = jax.random.split(key)
    return Views(
        jax.random.randint(corner, (*shape, 2), 0, 2 * crop + 1, jnp.int32),
        jax.random.bernoulli(side, jnp.float32(0.5), shape) & mirror,
    )


def augment(images: jax.Array, views: Views, crop: int) -> jax.Array:
    """Pad images [B, H, W, C] with `crop` zeros a side, cut the corners' views, mirror.

    views: of one batch, corner [B, 2] and mirror [B]. Shape and dtype stay.
    """

    def one(image, corner, mirror):
        padded = jnp.pad(image, ((crop, crop), (crop, crop), (0, 0)))
        start = (corner[0], corner[1], jnp.zeros_like(corner[0]))
        view = jax.lax.dynamic_slice(padded, start, image.shape)
        return jnp.where(mirror, view[:, ::-1], view)

    return jax.vmap(one)(images, *views)
