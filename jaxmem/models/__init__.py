"""One architecture a file, all behind `Model(init, apply)`; only this room imports Flax."""

from collections.abc import Callable

from jaxmem.errors import InputError
from jaxmem.models.contract import Model, count_parameters, from_linen
from jaxmem.models.mlp import mlp

# name -> factory(num_classes, hidden). Add your own: MODELS["mine"] = my_factory.
MODELS: dict[str, Callable[[int, tuple[int, ...]], Model]] = {"mlp": mlp}


def make_model(name: str, num_classes: int, hidden: tuple[int, ...]) -> Model:
    """The model of that name; raises InputError, listing the known ones."""
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; known: {', '.join(sorted(MODELS))}")
    return MODELS[name](num_classes, hidden)


__all__ = ["MODELS", "Model", "count_parameters", "from_linen", "make_model"]
