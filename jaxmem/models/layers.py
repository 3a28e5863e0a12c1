"""The layers that the architectures share, in Flax Linen. Images are [B, H, W, C].

`dtype` is that of products and activations, float32 or bfloat16. Parameters and
statistics are float32, and so are the logits (`Head`).
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxmem._shared.platforms import by_platform
from jaxmem.models import convolution
from jaxmem.models.windows import Geometry, add_taps, taps

DECAY = 0.9  # of the running statistics, a step
EPSILON = 1e-5  # added to variances


class Conv(nn.Module):
    """Convolution with a square kernel, padded so that stride 1 keeps the size."""

    features: int
    kernel: int = 3
    stride: int = 1
    dtype: Any = jnp.float32
    kernel_init: Callable = nn.initializers.he_normal()

    @nn.compact
    def __call__(self, x):
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        weights = self.param("kernel", self.kernel_init, shape)
        low = (self.kernel - 1) // 2
        return convolution.conv(
            x.astype(self.dtype),
            weights.astype(self.dtype),
            (self.stride, self.stride),
            ((low, self.kernel - 1 - low),) * 2,
        )


class Bias(nn.Module):
    """Adds a number to each channel."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        bias = self.param("bias", nn.initializers.zeros_init(), x.shape[-1:])
        return x + bias.astype(self.dtype)[None, None, None]


class BatchNorm(nn.Module):
    """Normalise each channel over the batch's included examples (Ioffe & Szegedy 2015).

    Training: mean and variance (biased) over images of weight 1 alone, all in float32; the
    running statistics follow them as running ← 0.9 · running + 0.1 · batch, and stay where
    no image is included. Evaluation uses the running statistics, so that an example's
    logits depend on no other example.

    bias_rate: how many times as fast as by the learning rate the bias learns, under SGD.
    """

    dtype: Any = jnp.float32
    use_scale: bool = True
    bias_rate: float = 1.0

    @nn.compact
    def __call__(self, x, weights):
        channels = x.shape[-1:]
        scale = 1.0
        if self.use_scale:
            scale = self.param("scale", nn.initializers.ones_init(), channels)
        bias = self.param("bias", nn.initializers.zeros_init(), channels)
        # The gradient grows by the factor, and so does what a step of it does.
        bias = bias * self.bias_rate**0.5
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        variance = self.variable("batch_stats", "variance", jnp.ones, channels)
        if weights is None:
            m, v = mean.value, variance.value
        else:
            m, v = included_moments(x, weights)
            some = jnp.sum(weights) > 0
            for running, batch in ((mean, m), (variance, v)):
                batch = jax.lax.stop_gradient(batch)
                new = DECAY * running.value + (1 - DECAY) * batch
                running.value = jnp.where(some, new, running.value)
        factor = scale * jax.lax.rsqrt(v + EPSILON)
        shift = bias - m * factor
        x = x * factor[None, None, None] + shift[None, None, None]
        return x.astype(self.dtype)


def included_moments(x: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance, float32 [C], of x [B, H, W, C] weighed by weights [B].

    In one pass over x, around a mean of one included image: sums of squares around 0 would
    lose the variance of what lies far from 0.
    """
    each = weights / (jnp.maximum(jnp.sum(weights), 1) * x.shape[1] * x.shape[2])
    each = each[:, None, None, None]
    centre = jnp.mean(x[jnp.argmax(weights)], (0, 1), dtype=jnp.float32)
    centre = jax.lax.stop_gradient(centre)
    centred = x.astype(jnp.float32) - centre[None, None, None]
    mean = jnp.sum(centred * each, (0, 1, 2))
    square = jnp.sum(jnp.square(centred) * each, (0, 1, 2))
    return mean + centre, jnp.maximum(square - jnp.square(mean), 0)


class Head(nn.Module):
    """Dense layer from features [B, D] to float32 logits [B, classes]."""

    classes: int
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(self.classes, use_bias=self.use_bias, dtype=self.dtype)(x)
        return x.astype(jnp.float32)


def max_pool(
    x: jax.Array, window: int, stride: int, padding: tuple[int, int] = (0, 0)
) -> jax.Array:
    """Maximum of square windows; padding (low, high) of both sides never wins.

    The gradient goes to the first maximum of a window, as `lax.reduce_window_max`'s does.
    """
    g = Geometry(x.shape[1:3], (window,) * 2, (stride,) * 2, (padding,) * 2)
    return max_windows(g, x)


def _padded(g: Geometry, x: jax.Array) -> jax.Array:
    return jnp.pad(x, ((0, 0), *g.padding, (0, 0)), constant_values=-jnp.inf)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def max_windows(g: Geometry, x: jax.Array) -> jax.Array:
    """As `max_pool`, of any windows."""
    shifted, reduced = functools.partial(_shifted, g), functools.partial(_reduced, g)
    return by_platform(x, cpu=shifted, gpu=shifted, tpu=reduced)


def _shifted(g: Geometry, x: jax.Array) -> jax.Array:
    return functools.reduce(jnp.maximum, taps(g, _padded(g, x)))


def _reduced(g: Geometry, x: jax.Array) -> jax.Array:
    sides = ((0, 0), *g.padding, (0, 0))
    window, strides = ((1, *pair, 1) for pair in (g.window, g.strides))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, sides)


def _max_pool_fwd(g: Geometry, x: jax.Array):
    out = max_windows(g, x)
    # A byte a window, in place of the images: these are then read once, not twice. Which of
    # the two the platform does not ask for is dead code.
    return out, (x, _winner(g, x))


def _winner(g: Geometry, x: jax.Array) -> jax.Array:
    """Which place of its window each maximum has, the first of equal ones.

    In a window with NaN it is any of them.
    """
    first, *others = taps(g, _padded(g, x))
    number = jnp.uint8 if len(others) < 255 else jnp.int32
    highest, winner = first, jnp.zeros(first.shape, number)
    for k, seen in enumerate(others, start=1):
        winner = jnp.where(seen > highest, number(k), winner)
        highest = jnp.maximum(highest, seen)
    return winner


def _max_pool_bwd(g: Geometry, saved, grad: jax.Array):
    def reduced(x, winner, grad):
        return jax.vjp(functools.partial(_reduced, g), x)[1](grad)[0]

    def shifted(x, winner, grad):
        return _shifted_grad(g, x.shape, winner, grad)

    return (by_platform(*saved, grad, cpu=shifted, gpu=shifted, tpu=reduced),)


def _shifted_grad(g: Geometry, shape, winner: jax.Array, grad: jax.Array):
    zero = jnp.zeros((), grad.dtype)
    if g.strides != g.window or g.padding != ((0, 0), (0, 0)):
        places = range(g.window[0] * g.window[1])
        return add_taps(g, [jnp.where(winner == k, grad, zero) for k in places])
    # Windows that do not overlap: one pass over the input instead of a sum of many.
    (b, h, w, c), (down, right) = grad.shape, g.window
    number = jnp.arange(down * right, dtype=winner.dtype).reshape(down, right)
    wins = winner[:, :, None, :, None] == number[None, None, :, None, :, None]
    spread = jnp.where(wins, grad[:, :, None, :, None], zero)
    spread = spread.reshape(b, h * down, w * right, c)
    rest = [(0, n - m) for n, m in zip(shape, spread.shape, strict=True)]
    return jnp.pad(spread, rest)


max_windows.defvjp(_max_pool_fwd, _max_pool_bwd)


def depthwise(g: Geometry, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution of each channel of x [B, H, W, C] by its own kernel [h, w, 1, C]."""
    views = taps(g, jnp.pad(x, ((0, 0), *g.padding, (0, 0))))
    each = kernel.reshape(len(views), 1, 1, 1, -1)
    parts = [view * each[number] for number, view in enumerate(views)]
    return functools.reduce(jnp.add, parts)


def sum_windows(g: Geometry, x: jax.Array) -> jax.Array:
    """Sums of windows of images [B, H, W, C]; padding counts as 0."""
    padded = jnp.pad(x, ((0, 0), *g.padding, (0, 0)))
    return functools.reduce(jnp.add, taps(g, padded))


def mean_pool(x: jax.Array, window: int) -> jax.Array:
    """Mean of non-overlapping square windows; rows and columns left over are dropped."""
    b, h, w, c = x.shape
    h, w = h // window, w // window
    x = x[:, : h * window, : w * window].reshape(b, h, window, w, window, c)
    return jnp.mean(x, (2, 4))


def global_mean(x: jax.Array) -> jax.Array:
    """Mean over height and width: [B, C]."""
    return jnp.mean(x, (1, 2))
