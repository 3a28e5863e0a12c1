"""Convolutions as products over patches: what each place of the result sees, laid out.

B images, H x W their size, C channels in and K out; h x w the window. Sums are float32.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmem.models.windows import Geometry, add_taps, taps

PATCH_BYTES = 4 << 20  # patches made at a time on a CPU: they stay in its caches
FILL = 8
GPU_PARTS = 16  # of a long sum over patches, at most: one sum would keep few cores busy


def concatenated(g: Geometry, images):
    """The patches of images: [B, H, W, C] -> [B·H'·W', h·w·C]."""
    padded = jnp.pad(images, ((0, 0), *g.padding, (0, 0)))
    views = taps(g, padded)
    patches = jnp.concatenate(views, axis=-1) if len(views) > 1 else views[0]
    return patches.reshape(-1, patches.shape[-1])


def gathered(g: Geometry, images):
    """As `concatenated`, by one gather: that would branch at each value on a GPU.

    Filled up with zeros to a multiple of FILL values: matrix units take no others.
    """
    padded = jnp.pad(images, ((0, 0), *g.padding, (0, 0)))
    size = math.prod(padded.shape[1:])
    place = np.arange(size, dtype=np.int32)
    views = taps(g, place.reshape(1, *padded.shape[1:]))
    index = np.concatenate(views, axis=-1)
    fill = -index.shape[-1] % FILL
    index = np.pad(index, ((0, 0),) * 3 + ((0, fill),), constant_values=size)
    rows = jnp.pad(padded.reshape(-1, size), ((0, 0), (0, 1)))
    patches = jnp.take(rows, jnp.asarray(index.reshape(-1)), axis=1, mode="clip")
    return patches.reshape(-1, index.shape[-1])


def patches_product(g: Geometry, images, kernel, patches=concatenated, dtype=jnp.float32):
    """[B, H, W, C], [h, w, C, K] -> [B, H', W', K].

    dtype: of the product; None: the images'.
    """
    channels = kernel.shape[-1]
    seen, weights = patches(g, images), kernel.reshape(-1, channels)
    weights = jnp.pad(weights, ((0, seen.shape[-1] - weights.shape[0]), (0, 0)))
    out = jnp.matmul(seen, weights, preferred_element_type=dtype)
    return out.astype(images.dtype).reshape(images.shape[0], *g.output, channels)


def gathered_product(g: Geometry, images, kernel):
    """As `patches_product`, on a GPU."""
    return patches_product(g, images, kernel, gathered, None)


def input_grad_patches(g: Geometry, grad, kernel, dtype=jnp.float32):
    """[B, H', W', K], [h, w, C, K] -> [B, H, W, C].

    dtype: of the products that are then summed in float32; None: the gradient's.
    """
    channels = kernel.shape[-1]
    parts = jnp.matmul(
        grad.reshape(-1, channels),
        kernel.reshape(-1, channels).T,
        preferred_element_type=dtype,
    )
    count = g.window[0] * g.window[1]
    parts = parts.reshape(*grad.shape[:3], count, -1)
    views = (parts[:, :, :, k].astype(jnp.float32) for k in range(count))
    return add_taps(g, list(views)).astype(grad.dtype)


def input_grad_narrow(g: Geometry, grad, kernel):
    """As `input_grad_patches`, on a GPU."""
    return input_grad_patches(g, grad, kernel, None)


def kernel_grad_patches(g: Geometry, images, grad):
    """[B, H, W, C], [B, H', W', K] -> [h, w, C, K]."""
    return _sum_over_patches(g, images, grad).astype(images.dtype)


def kernel_grad_in_parts(g: Geometry, images, grad):
    """As `kernel_grad_patches`, with the sum cut into some that go side by side.

    Of as many images each: a batch of a prime number is one.
    """
    rows, channels = images.shape[0], grad.shape[-1]
    parts = max(d for d in range(1, GPU_PARTS + 1) if rows % d == 0)
    patches = gathered(g, images)
    products = jnp.einsum(
        "prk,prv->pkv",
        grad.reshape(parts, -1, channels),
        patches.reshape(parts, -1, patches.shape[-1]),
        preferred_element_type=jnp.float32,
    )
    real = g.window[0] * g.window[1] * images.shape[-1]
    return _as_kernel(g, products.sum(axis=0)[:, :real]).astype(images.dtype)


def kernel_grad_in_cache(g: Geometry, images, grad):
    """As `kernel_grad_patches`, a few images at a time."""
    rows, out = images.shape[0], g.output
    a_row = out[0] * out[1] * g.window[0] * g.window[1] * images.shape[-1]
    limit = max(1, PATCH_BYTES // (a_row * images.dtype.itemsize))
    some = max(d for d in range(1, rows + 1) if rows % d == 0 and d <= limit)
    if some == rows or g.window == (1, 1):
        return kernel_grad_patches(g, images, grad)
    parts = [a.reshape(-1, some, *a.shape[1:]) for a in (images, grad)]

    def sums(i):
        return _sum_over_patches(
            g, *(lax.dynamic_index_in_dim(a, i, 0, False) for a in parts)
        )

    # From the first sum, not from zeros: inside shard_map only that varies over devices.
    total = lax.fori_loop(1, rows // some, lambda i, total: total + sums(i), sums(0))
    return total.astype(images.dtype)


def _sum_over_patches(g: Geometry, images, grad):
    """The kernel's gradient, float32 [h, w, C, K]."""
    channels = grad.shape[-1]
    # This way round, because patches are wide: whole rows of them enter the product.
    product = jnp.matmul(
        grad.reshape(-1, channels).T,
        concatenated(g, images),
        preferred_element_type=jnp.float32,
    )
    return _as_kernel(g, product)


def _as_kernel(g: Geometry, product):
    """[K, h·w·C] -> [h, w, C, K]."""
    return product.reshape(product.shape[0], *g.window, -1).transpose(1, 2, 3, 0)
