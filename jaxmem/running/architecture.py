"""The network of a run, by its name and options."""

import jax.numpy as jnp

from jaxmem._shared.arguments import keywords
from jaxmem.models import MODELS, Model, Spec, is_own, make_model
from jaxmem.models.exchange import exchanged
from jaxmem.models.own import Options, find
from jaxmem.storage.config import Network, RunConfig
from jaxmem.training.augmentation import of_centre, view_shape
from jaxmem.training.hyperparameters import Recipe


def make_architecture(
    model: str, options: Options, num_classes: int, recipe: Recipe, shape: tuple[int, ...]
) -> Model:
    """The network as it is trained and run, for images of shape [H, W, C]."""
    seen = view_shape(shape, recipe.train_size)
    spec = Spec(num_classes, recipe.hidden, jnp.dtype(recipe.precision), seen)
    made = of_centre(make_model(model, spec, options), recipe.train_size)
    return made._replace(apply=exchanged(made.apply)) if is_own(model) else made


def describe(model: str, options: Options, start: str | None = None) -> Network | None:
    """Where a network comes from; None: it is one of ours, from its own start.

    start: the hash of given parameters.
    """
    source = None if model in MODELS else find(model).sha256
    if not (options or source or start):
        return None
    return Network(tuple(sorted(f"{k}={v!r}" for k, v in options.items())), source, start)


def options_of(config: RunConfig) -> Options:
    """The options of a run's network."""
    options = config.network.options if config.network else ()
    return keywords("model options", ",".join(options))
