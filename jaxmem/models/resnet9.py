"""ResNet9, the fast CIFAR network of DAWNBench.

D. Page, "How to train your ResNet" (myrtle.ai, 2018-2019): 6,573,120 parameters for ten
classes.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxmem.models.contract import Model, Spec
from jaxmem.models.layers import BatchNorm, Conv, Head, max_pool
from jaxmem.models.linen import from_linen

LOGIT_SCALE = 0.125


class ConvBlock(nn.Module):
    """3x3 convolution, 2x2 max-pool where asked, batch normalisation, ReLU.

    Page pools last. Pooling before the normalisation, as K. Jordan's airbench does (arXiv
    2404.00498), leaves it a quarter of the values.
    """

    features: int
    pool: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, weights):
        x = Conv(self.features, dtype=self.dtype)(x)
        x = max_pool(x, 2, 2) if self.pool else x
        return nn.relu(BatchNorm(self.dtype)(x, weights))


class ResNet9(nn.Module):
    """Stem, three pooled convolutions, a residual pair after the first and the last."""

    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, weights):
        x = ConvBlock(64, dtype=self.dtype)(images, weights)
        for features, residual in ((128, True), (256, False), (512, True)):
            x = ConvBlock(features, pool=True, dtype=self.dtype)(x, weights)
            if residual:
                y = ConvBlock(features, dtype=self.dtype)(x, weights)
                x = x + ConvBlock(features, dtype=self.dtype)(y, weights)
        x = jnp.max(x, (1, 2))
        head = Head(self.num_classes, use_bias=False, dtype=self.dtype)
        return LOGIT_SCALE * head(x)


def resnet9(spec: Spec) -> Model:
    """6,619,200 parameters for CIFAR-100; images of 8 pixels a side at least."""
    return from_linen(ResNet9(spec.num_classes, spec.dtype))
