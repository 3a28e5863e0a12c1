"""The small Inception for CIFAR.

Zhang, Bengio, Hardt, Recht & Vinyals, "Understanding deep learning requires rethinking
generalization" (2017, arXiv 1611.03530), Figure 3 and Table 1.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxmem.models.contract import Model, Spec
from jaxmem.models.layers import BatchNorm, Conv, Head, global_mean, max_pool
from jaxmem.models.linen import from_linen

# Features of the 1x1 and the 3x3 branch of each module, stage by stage; and those that the
# convolution of the downsampling before a stage adds.
STAGES = (
    (None, ((32, 32), (32, 48))),
    (80, ((112, 48), (96, 64), (80, 80), (48, 96))),
    (96, ((176, 160), (176, 160))),
)


class ConvModule(nn.Module):
    """Convolution, batch normalisation without a scale (as the published count), ReLU."""

    features: int
    kernel: int
    stride: int
    dtype: Any

    @nn.compact
    def __call__(self, x, weights):
        x = Conv(self.features, self.kernel, self.stride, dtype=self.dtype)(x)
        return nn.relu(BatchNorm(self.dtype, use_scale=False)(x, weights))


class Inception(nn.Module):
    """Stem of 96 features, modules of two branches, two downsamplings, mean, head."""

    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, weights):
        def module(x, features, kernel, stride=1):
            return ConvModule(features, kernel, stride, self.dtype)(x, weights)

        x = module(images, 96, 3)
        for down, modules in STAGES:
            if down is not None:
                pooled = max_pool(x, 3, 2, (1, 1))
                x = jnp.concatenate([module(x, down, 3, 2), pooled], -1)
            for narrow, wide in modules:
                x = jnp.concatenate([module(x, narrow, 1), module(x, wide, 3)], -1)
        return Head(self.num_classes, dtype=self.dtype)(global_mean(x))


def inception(spec: Spec) -> Model:
    """1,649,402 parameters for ten classes of colour images."""
    return from_linen(Inception(spec.num_classes, spec.dtype))
