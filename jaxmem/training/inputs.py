"""Inputs as a network wants them: numbers of about one.

Standardised, each channel of images and each feature of rows has mean 0 and variance 1 over
the examples that a trial sees; the statistics are part of its model. Else pixels are
divided by 255, and other numbers are taken as they are.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.training.pieces import Pieces, cut

PIECE_VALUES = 2**20  # numbers that are looked at at a time


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


class Moments(NamedTuple):
    """Of the inputs seen so far, each of a Scaling's shape.

    Mean and variance are in units of the range, from its lower end: neither a large offset
    nor a large scale costs digits, and what is constant is so exactly. So they take PASSES
    over the inputs: the range, then the mean, then the variance.
    """

    low: jax.Array
    high: jax.Array
    mean: jax.Array
    variance: jax.Array


PASSES = 3


def no_moments(shape: tuple[int, ...]) -> Moments:
    """Of nothing, for images of shape [H, W, C]."""
    _, w, c = shape
    zero = jnp.zeros((1, w, 1) if _is_row(shape) else (1, 1, c), jnp.float32)
    return Moments(zero + math.inf, zero - math.inf, zero, zero)


def add_moments(
    number: int,
    moments: Moments,
    images: jax.Array,
    seen: jax.Array,
    total: int | jax.Array,
) -> Moments:
    """One of PASSES over images [R, H, W, C], of which those seen, bool [R], count.

    total: how many examples are seen, of all pieces.
    """
    shape = images.shape[1:]
    axes = (0,) if _is_row(shape) else (0, 1, 2)
    x, seen = images.astype(jnp.float32), seen[:, None, None, None]
    like = moments.low.shape
    if number == 0:
        low = jnp.min(jnp.where(seen, x, math.inf), axes).reshape(like)
        high = jnp.max(jnp.where(seen, x, -math.inf), axes).reshape(like)
        low, high = jnp.minimum(moments.low, low), jnp.maximum(moments.high, high)
        return moments._replace(low=low, high=high)
    x = (x - moments.low[None]) / _span(moments)[None]
    if number == 2:
        x = jnp.square(x - moments.mean[None])
    # Divided first: sums of large numbers overflow.
    values = total * jnp.float32(1 if _is_row(shape) else math.prod(shape[:2]))
    part = jnp.sum(jnp.where(seen, x, 0) / jnp.maximum(values, 1), axes).reshape(like)
    name = ("mean", "variance")[number - 1]
    return moments._replace(**{name: getattr(moments, name) + part})


def scaling_of(moments: Moments) -> Scaling:
    """What standardises; of nothing seen, and of what does not vary, the factor is 0."""
    span = _span(moments)
    factor = jax.lax.rsqrt(moments.variance) / span
    varies = (moments.high > moments.low) & jnp.isfinite(factor)
    low = jnp.where(moments.low <= moments.high, moments.low, 0)
    return Scaling(low + moments.mean * span, jnp.where(varies, factor, 0))


def _span(moments: Moments) -> jax.Array:
    return jnp.where(moments.high > moments.low, moments.high - moments.low, 1)


def _is_row(shape: tuple[int, ...]) -> bool:
    """Features, each with a meaning of its own."""
    h, _, c = shape
    return h == 1 and c == 1


def measuring_pieces(rows: int, shape: tuple[int, ...]) -> Pieces:
    """How R images of shape [H, W, C] are cut to be measured."""
    return cut(rows, max(1, PIECE_VALUES // math.prod(shape)))


def measure(images: jax.Array, mask_N: jax.Array, count: int | jax.Array) -> Scaling:
    """The scaling of those images [N, H, W, C] that are in the mask, so many."""
    images, mask_N = jnp.asarray(images), jnp.asarray(mask_N)
    pieces = measuring_pieces(len(images), images.shape[1:])

    def step(number, moments, piece):
        start, fresh = piece
        rows = jax.lax.dynamic_slice_in_dim(images, start, pieces.size)
        seen = seen_of(mask_N, start, fresh, pieces.size)
        return add_moments(number, moments, rows, seen, count), None

    moments = no_moments(images.shape[1:])
    for number in range(PASSES):
        one = functools.partial(step, number)
        moments, _ = jax.lax.scan(one, moments, (pieces.start, pieces.fresh))
    return scaling_of(moments)


def seen_of(mask_N: jax.Array, start: jax.Array, fresh: jax.Array, size: int) -> jax.Array:
    """Which rows of a piece are in the mask, and in no piece before: bool [size]."""
    rows = start + jnp.arange(size, dtype=jnp.int32)
    return jax.lax.dynamic_slice_in_dim(mask_N, start, size) & (rows >= fresh)


def describe_inputs(images: np.ndarray) -> tuple[str, float, float]:
    """The dtype, minimum and maximum of images [N, H, W, C], to compare others with."""
    low, high = math.inf, -math.inf
    pieces = measuring_pieces(len(images), images.shape[1:])
    for start in pieces.start:
        piece = images[start : start + pieces.size]
        low, high = min(low, float(piece.min())), max(high, float(piece.max()))
        if images.dtype == np.uint8 and (low, high) == (0, 255):
            break  # a large file need not be read to its end
    return images.dtype.name, low, high
