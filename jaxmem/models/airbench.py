"""The network of airbench94, the fastest that is known to reach 94 % on CIFAR-10.

K. Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv 2404.00498): whitened
2x2 patches, three pooled pairs of 3x3 convolutions that begin as the identity, and biases
that learn 64 times as fast. 1,971,352 parameters for ten classes.

There the whitening is that of the training images. Here it is one for all natural images,
so that no trial's first layer knows of an example that the trial must not see.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.models import convolution
from jaxmem.models.contract import Model, Spec
from jaxmem.models.layers import BatchNorm, Bias, Conv, Head, max_pool
from jaxmem.models.linen import from_linen

LOGIT_SCALE = 1 / 9
FASTER = 64.0  # times the learning rate, for biases
# Standard deviations of the components of patches: of the sum or difference over rows and
# columns, times that of a mix of colours. CIFAR-100's, rounded, and the same for all data.
OF_SPACE = (1.0, 0.15), (0.15, 0.06)
OF_COLOUR = 3.2, 1.1, 0.5


class Airbench(nn.Module):
    """Whitening, then groups of two convolutions; images of 3 pixels a side at least."""

    num_classes: int
    widths: tuple[int, ...] = (64, 256, 256)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, weights):
        kernel = jnp.asarray(whitening(images.shape[-1]), self.dtype)
        x = convolution.conv(images.astype(self.dtype), kernel, padding="VALID")
        x = nn.gelu(Bias(self.dtype)(x))
        for width in self.widths:
            for pool in (True, False):
                x = Conv(width, dtype=self.dtype, kernel_init=partly_identity)(x)
                x = max_pool(x, 2, 2) if pool and min(x.shape[1:3]) > 1 else x
                norm = BatchNorm(self.dtype, use_scale=False, bias_rate=FASTER)
                x = nn.gelu(norm(x, weights))
        x = jnp.max(x, (1, 2))
        head = Head(self.num_classes, use_bias=False, dtype=self.dtype)
        return LOGIT_SCALE * head(x)


def whitening(channels: int) -> np.ndarray:
    """Filters float32 [2, 2, C, 8 C], each with its negative, of patches of 2 x 2 pixels.

    Natural images vary alike everywhere, so the principal components of their patches are
    sums and differences over rows, columns and colours. Each is divided by its standard
    deviation in standardised images.
    """
    space = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    # Of three channels: their sum, red against blue, green against both.
    powers = np.vander(np.arange(channels), increasing=True).astype(float)
    colour = np.linalg.qr(powers)[0].T
    filters = []
    for number, mix in enumerate(colour):
        for i, row in enumerate(space):
            for j, column in enumerate(space):
                patch = row[:, None, None] * column[None, :, None] * mix[None, None]
                deviation = OF_SPACE[i][j] * OF_COLOUR[min(number, 2)]
                filters.append(patch / deviation)
    kernel = np.stack(filters, axis=-1)
    return np.concatenate([kernel, -kernel], axis=-1).astype(np.float32)


def partly_identity(key, shape, dtype=jnp.float32):
    """A kernel [h, w, C, K] whose first C filters pass on their channel (Dirac).

    The others are uniform in ±1 / sqrt(h w C), as PyTorch draws all.
    """
    height, width, channels, _ = shape
    bound = (height * width * channels) ** -0.5
    kernel = jax.random.uniform(key, shape, dtype, -bound, bound)
    count = min(shape[2:])
    identity = jnp.zeros((channels, count), dtype).at[:count].set(jnp.eye(count))
    kernel = kernel.at[:, :, :, :count].set(0)
    return kernel.at[height // 2, width // 2, :, :count].set(identity)


def airbench(spec: Spec, widths: tuple[int, ...] = (64, 256, 256)) -> Model:
    """1,994,392 parameters for CIFAR-100; widths are of the three groups."""
    return from_linen(Airbench(spec.num_classes, tuple(widths), spec.dtype))
