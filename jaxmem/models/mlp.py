"""Multilayer perceptron with ReLU: 784-512-256-10 in the paper's MNIST demo."""

import flax.linen as nn

from jaxmem.models.contract import Model, from_linen


class MLP(nn.Module):
    """Dense layers of the given widths on the flattened image; no layer mixes examples."""

    hidden: tuple[int, ...]
    num_classes: int

    @nn.compact
    def __call__(self, images, weights):
        del weights
        x = images.reshape((images.shape[0], -1))
        for width in self.hidden:
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(self.num_classes)(x)


def mlp(num_classes: int, hidden: tuple[int, ...]) -> Model:
    """An MLP with the given hidden widths; () is a linear model."""
    return from_linen(MLP(tuple(hidden), num_classes))
