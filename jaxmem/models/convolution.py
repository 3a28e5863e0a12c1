"""One convolution, fast inside loops and under `vmap`, forward and backward.

Equals `lax.conv_general_dilated` to float32 rounding; what differs is how it is computed:

CPU. XLA brings a convolution into the form of its fast library (NHWC images, HWIO kernel,
  no reversal) only outside loops; inside `scan`, the gradients of `lax.conv` run about 100
  times slower (experiments/benchmark_training.py). So all three products are written in
  that form, or as a matrix product over patches that stay in the cache, and a `vmap` is a
  loop over models instead of a grouped convolution.
GPU. One model: `lax.conv` and its own gradients, which cuDNN knows. A `vmap` of it would be
  grouped convolutions, the kernel's gradient one with an image-sized window: so where
  patches are few, they are written out, by one gather, and multiplied side by side; where
  they are many, a model fills the card, and models take turns.
TPU. `lax.conv` and its own gradients, also under `vmap`.

In bfloat16 no large product asks for a float32 result on GPU and TPU: cuDNN would be given
converted, float32 inputs. Sums are float32 inside either way.

B images, H x W their size, C channels in and K out.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jaxmem._shared.platforms import by_platform
from jaxmem.models.patches import (
    FILL,
    gathered_product,
    input_grad_narrow,
    input_grad_patches,
    kernel_grad_in_cache,
    kernel_grad_in_parts,
    patches_product,
)
from jaxmem.models.windows import Geometry

DIMENSIONS = ("NHWC", "HWIO", "NHWC")
GPU_PATCH_BYTES = 16 << 20  # of one model, up to which models go side by side


def conv(
    images: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = "SAME",
) -> jax.Array:
    """Cross-correlation of images [B, H, W, C] with kernel [h, w, C, K]: [B, H', W', K].

    padding: "SAME", "VALID" or ((top, bottom), (left, right)). Products are summed in
    float32; the result has the images' dtype, float32 or bfloat16.
    """
    size, window = images.shape[1:3], kernel.shape[:2]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(size, window, strides, padding)
    padding = tuple((int(low), int(high)) for low, high in padding)
    return _convolution(Geometry(size, window, tuple(strides), padding))(images, kernel)


@functools.cache
def _convolution(g: Geometry) -> Callable:
    forward, input_grad, kernel_grad = (_batched(ways, g) for ways in _ways(g))

    @jax.custom_vjp
    def convolution(images, kernel):
        return forward(images, kernel)

    def fwd(images, kernel):
        return forward(images, kernel), (images, kernel)

    def bwd(saved, grad):
        images, kernel = saved
        # A gradient that nobody asks for is dead code, which XLA removes.
        return input_grad(grad, kernel), kernel_grad(images, grad)

    convolution.defvjp(fwd, bwd)
    return convolution


class Ways(NamedTuple):
    """Of computing a product f(geometry, a, b) of ONE model."""

    cpu: Callable
    native: Callable
    beside: Callable  # with the same of other models beside it, on a GPU
    channels: Callable[[jax.Array, jax.Array], int]  # of the images, from a and b


def _ways(g: Geometry) -> tuple[Ways, Ways, Ways]:
    """Of the result, the input's gradient and the kernel's."""
    back = _input_grad_direct if g.strides == (1, 1) else input_grad_patches

    def of_images(images, _):
        return images.shape[-1]

    def of_kernel(_, kernel):
        return kernel.shape[-2]

    return (
        Ways(_direct_or_patches, _native, gathered_product, of_images),
        Ways(back, _input_grad_native, input_grad_narrow, of_kernel),
        Ways(kernel_grad_in_cache, _kernel_grad_native, kernel_grad_in_parts, of_images),
    )


def _batched(ways: Ways, g: Geometry) -> Callable:
    """f(a, b) for one model, with what vmap does to it."""
    cpu, native, beside = (functools.partial(way, g) for way in ways[:3])

    @custom_vmap
    def f(a, b):
        return by_platform(a, b, cpu=cpu, gpu=native, tpu=native)

    @f.def_vmap
    def rule(axis_size, in_batched, a, b):
        axes = tuple(0 if batched else None for batched in in_batched)

        def in_turn(a, b):
            def one(i):
                return f(a[i] if in_batched[0] else a, b[i] if in_batched[1] else b)

            return lax.map(one, jnp.arange(axis_size))

        def side_by_side(way):
            return jax.vmap(way, axes)

        patch = -(-math.prod(g.window) * ways.channels(a, b) // FILL) * FILL
        values = a.shape[-4] * math.prod(g.output) * patch
        few = values * a.dtype.itemsize <= GPU_PATCH_BYTES
        return by_platform(
            a,
            b,
            cpu=in_turn,
            gpu=side_by_side(beside) if few else in_turn,
            tpu=side_by_side(native),
        ), True

    return f


def _direct_or_patches(g: Geometry, images, kernel):
    """The library has no fast way for one channel."""
    return (patches_product if images.shape[-1] == 1 else _direct)(g, images, kernel)


def _direct(g: Geometry, images, kernel):
    """[B, H, W, C], [h, w, C, K] -> [B, H', W', K], by the library."""
    out = lax.conv_general_dilated(
        images,
        kernel,
        g.strides,
        g.padding,
        dimension_numbers=DIMENSIONS,
        preferred_element_type=jnp.float32,
    )
    return out.astype(images.dtype)


def _input_grad_direct(g: Geometry, grad, kernel):
    """Of stride 1: a convolution of the gradient with the kernel turned around."""
    # Else XLA makes zeros at the gradient's edge, as of what a pool dropped, the padding of
    # a convolution; such a one gave wrong gradients while another device's model trained
    # beside it (jax 0.10 to 0.12, `test_devices_do_not_disturb_each_other`).
    grad = lax.optimization_barrier(grad)
    turned = jnp.flip(kernel, (0, 1)).transpose(0, 1, 3, 2)
    sides = zip(g.size, g.window, g.padding, g.output, strict=True)
    padding = tuple((w - 1 - low, n + low - out) for n, w, (low, _), out in sides)
    return _direct(Geometry(g.output, g.window, (1, 1), padding), grad, turned)


def _native(g: Geometry, images, kernel):
    # The transposes of a product have one dtype, so no preferred_element_type here.
    return lax.conv_general_dilated(
        images, kernel, g.strides, g.padding, dimension_numbers=DIMENSIONS
    )


def _input_grad_native(g: Geometry, grad, kernel):
    images = jax.ShapeDtypeStruct((grad.shape[0], *g.size, kernel.shape[2]), grad.dtype)
    transpose = jax.linear_transpose(lambda x: _native(g, x, kernel), images)
    return transpose(grad)[0]


def _kernel_grad_native(g: Geometry, images, grad):
    shape = (*g.window, images.shape[-1], grad.shape[-1])
    kernel = jax.ShapeDtypeStruct(shape, grad.dtype)
    return jax.linear_transpose(lambda w: _native(g, images, w), kernel)(grad)[0]
