"""Linear classifier on the pixels: 7,850 parameters on MNIST."""

from jaxmem.models.contract import Model, Spec
from jaxmem.models.mlp import mlp


def linear(spec: Spec) -> Model:
    """An MLP without hidden layers."""
    return mlp(spec._replace(hidden=()))
