"""A small convolutional network for 28 x 28 digits: 20,490 parameters on MNIST."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxmem.models.contract import Model, Spec
from jaxmem.models.layers import Bias, Conv, Head, max_pool
from jaxmem.models.linen import from_linen


class CNN(nn.Module):
    """Two 3x3 convolutions of 16 and 32 channels, each ReLU and 2x2 max-pool, and a head.

    No normalisation: no layer mixes examples.
    """

    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, weights):
        del weights
        x = images
        for features in (16, 32):
            # Bias and ReLU are monotone: after the maximum they give the same, on a quarter
            # of the values.
            x = max_pool(Conv(features, dtype=self.dtype)(x), 2, 2)
            x = nn.relu(Bias(self.dtype)(x))
        return Head(self.num_classes, dtype=self.dtype)(x.reshape((x.shape[0], -1)))


def cnn(spec: Spec) -> Model:
    """The small CNN; images of 4 pixels a side at least."""
    return from_linen(CNN(spec.num_classes, spec.dtype))
