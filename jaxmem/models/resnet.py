"""ResNet18 and ResNet50 (He, Zhang, Ren & Sun 2016, arXiv 1512.03385).

Images up to 64 pixels a side get a 3x3 stem of stride 1 without max-pool, as in the paper's
CIFAR-100 runs; larger ones the standard 7x7 stem of stride 2 with a 3x3 max-pool.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxmem.models.contract import Model, Spec
from jaxmem.models.layers import BatchNorm, Conv, Head, global_mean, max_pool
from jaxmem.models.linen import from_linen

SMALL = 64  # pixels a side up to which the stem keeps the size


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3 and 1x1 of four times the features (bottleneck)."""

    features: int
    stride: int
    bottleneck: bool
    dtype: Any

    @nn.compact
    def __call__(self, x, weights):
        if self.bottleneck:
            # The stride is the 3x3 convolution's (ResNet v1.5), as in torchvision.
            layers = [(1, 1, 1), (3, self.stride, 1), (1, 1, 4)]
        else:
            layers = [(3, self.stride, 1), (3, 1, 1)]
        y = x
        for number, (kernel, stride, times) in enumerate(layers):
            y = nn.relu(y) if number else y
            y = Conv(times * self.features, kernel, stride, dtype=self.dtype)(y)
            y = BatchNorm(self.dtype)(y, weights)
        if x.shape != y.shape:
            x = Conv(y.shape[-1], 1, self.stride, dtype=self.dtype)(x)
            x = BatchNorm(self.dtype)(x, weights)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Four stages of blocks, 64 features in the first, twice as many in each next one."""

    blocks: tuple[int, ...]
    bottleneck: bool
    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, weights):
        small = max(images.shape[1:3]) <= SMALL
        kernel, stride = (3, 1) if small else (7, 2)
        x = Conv(64, kernel, stride, dtype=self.dtype)(images)
        x = nn.relu(BatchNorm(self.dtype)(x, weights))
        if not small:
            x = max_pool(x, 3, 2, (1, 1))
        for stage, count in enumerate(self.blocks):
            for number in range(count):
                stride = 2 if stage and number == 0 else 1
                block = Block(64 * 2**stage, stride, self.bottleneck, self.dtype)
                x = block(x, weights)
        return Head(self.num_classes, dtype=self.dtype)(global_mean(x))


def resnet18(spec: Spec) -> Model:
    """11,220,132 parameters for CIFAR-100, 11,689,512 for ImageNet."""
    return from_linen(ResNet((2, 2, 2, 2), False, spec.num_classes, spec.dtype))


def resnet50(spec: Spec) -> Model:
    """23,705,252 parameters for CIFAR-100, 25,557,032 for ImageNet."""
    return from_linen(ResNet((3, 4, 6, 3), True, spec.num_classes, spec.dtype))
