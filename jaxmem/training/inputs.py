"""Inputs as a network wants them: numbers of about one.

Standardised, each channel of images and each feature of rows has mean 0 and variance 1 over
the examples that a trial sees; the statistics are part of its model. Else pixels are
divided by 255, and other numbers are taken as they are.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.training.subsets import Subset

CHUNK_VALUES = 2**20  # numbers that are looked at at a time


class Scaling(NamedTuple):
    """Statistics of inputs [H, W, C] that a model saw: float32 [1, W, 1] or [1, 1, C]."""

    mean: jax.Array
    factor: jax.Array  # 1 / standard deviation; 0 where nothing varies


def to_float(images: jax.Array, scaling: Scaling | None) -> jax.Array:
    """Images [R, H, W, C] of any kind to float32, standardised where there is a scaling."""
    if scaling is not None:
        centred = images.astype(jnp.float32) - scaling.mean[None]
        return centred * scaling.factor[None]
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255
    return images.astype(jnp.float32)


def measure(images: jax.Array, subset: Subset) -> Scaling:
    """The scaling of a subset of images [N, H, W, C]; no other image is read."""
    images, subset = jnp.asarray(images), Subset(jnp.asarray(subset.index), subset.count)
    _, h, w, c = images.shape
    rows = h == 1 and c == 1  # features, each with a meaning of its own
    axes = (0,) if rows else (0, 1, 2)
    values = subset.count * (1 if rows else h * w)
    size = min(max(1, CHUNK_VALUES // (h * w * c)), subset.index.size)
    chunks = -(-subset.index.size // size)
    place = jnp.arange(chunks * size).reshape(chunks, size)
    index = subset.index[jnp.minimum(place, subset.index.size - 1)]
    seen = place < subset.count

    def over_chunks(of, combine, start):
        def step(total, chunk):
            index, seen = chunk
            x = images[index].astype(jnp.float32)
            return combine(total, of(x, seen[:, None, None, None])), None

        return jax.lax.scan(step, start, (index, seen))[0]

    def mean_of(value):
        def part(x, seen):
            # Divided first: sums of large numbers overflow.
            x = jnp.where(seen, value(x), 0) / jnp.maximum(values, 1)
            return jnp.sum(x, axes).reshape(shape)

        return over_chunks(part, jnp.add, jnp.zeros(shape, jnp.float32))

    shape = (1, w, 1) if rows else (1, 1, c)
    big = jnp.full(shape, math.inf, jnp.float32)
    low = over_chunks(
        lambda x, seen: jnp.min(jnp.where(seen, x, math.inf), axes).reshape(shape),
        jnp.minimum,
        big,
    )
    high = over_chunks(
        lambda x, seen: jnp.max(jnp.where(seen, x, -math.inf), axes).reshape(shape),
        jnp.maximum,
        -big,
    )
    # In units of the range, from its lower end: neither a large offset nor a large scale
    # costs digits, and what is constant is so exactly.
    span = jnp.where(high > low, high - low, 1)
    mean = mean_of(lambda x: (x - low[None]) / span[None])
    variance = mean_of(lambda x: jnp.square((x - low[None]) / span[None] - mean[None]))
    factor = jax.lax.rsqrt(variance) / span
    varies = (high > low) & jnp.isfinite(factor)
    low = jnp.where(subset.count > 0, low, 0)
    return Scaling(low + mean * span, jnp.where(varies, factor, 0))


def describe_inputs(images: np.ndarray) -> tuple[str, float, float]:
    """The dtype, minimum and maximum of images [N, H, W, C], to compare others with."""
    return images.dtype.name, float(images.min()), float(images.max())
