"""Multilayer perceptron with ReLU: 784-512-256-10 in the paper's MNIST demo."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxmem.models.contract import Model, Spec
from jaxmem.models.linen import from_linen


class MLP(nn.Module):
    """Dense layers of the given widths on the flattened image; no layer mixes examples."""

    hidden: tuple[int, ...]
    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, weights):
        del weights
        x = images.reshape((images.shape[0], -1))
        for width in self.hidden:
            x = nn.relu(nn.Dense(width, dtype=self.dtype)(x))
        return nn.Dense(self.num_classes, dtype=self.dtype)(x).astype(jnp.float32)


def mlp(spec: Spec) -> Model:
    """An MLP with the given hidden widths."""
    return from_linen(MLP(tuple(spec.hidden), spec.num_classes, spec.dtype))
