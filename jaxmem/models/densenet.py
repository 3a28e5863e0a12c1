"""DenseNet-BC of depth 100 and growth 12.

Huang, Liu, van der Maaten & Weinberger, "Densely Connected Convolutional Networks" (2017,
arXiv 1608.06993): 0.8 million parameters; 769,162 for ten classes, 800,032 for CIFAR-100.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxmem.models.contract import Model, Spec
from jaxmem.models.layers import BatchNorm, Conv, Head, global_mean, mean_pool
from jaxmem.models.linen import from_linen

GROWTH = 12
LAYERS = 16  # of a block: (100 - 4) / 3 convolutions, two a layer


class PreConv(nn.Module):
    """Batch normalisation, ReLU, convolution."""

    features: int
    kernel: int
    dtype: Any

    @nn.compact
    def __call__(self, x, weights):
        x = nn.relu(BatchNorm(self.dtype)(x, weights))
        return Conv(self.features, self.kernel, dtype=self.dtype)(x)


class DenseNet(nn.Module):
    """Three dense blocks with bottlenecks (B), and transitions that halve (C)."""

    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, weights):
        def conv(x, features, kernel):
            return PreConv(features, kernel, self.dtype)(x, weights)

        x = Conv(2 * GROWTH, dtype=self.dtype)(images)
        for block in range(3):
            if block:
                x = mean_pool(conv(x, x.shape[-1] // 2, 1), 2)
            for _ in range(LAYERS):
                new = conv(conv(x, 4 * GROWTH, 1), GROWTH, 3)
                x = jnp.concatenate([x, new], -1)
        x = nn.relu(BatchNorm(self.dtype)(x, weights))
        return Head(self.num_classes, dtype=self.dtype)(global_mean(x))


def densenet100(spec: Spec) -> Model:
    """DenseNet-BC-100-12; images of 4 pixels a side at least."""
    return from_linen(DenseNet(spec.num_classes, spec.dtype))
