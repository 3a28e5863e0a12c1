"""One architecture a file, all behind `Model(init, apply)`; Flax is imported here alone."""

from collections.abc import Callable

from jaxmem.errors import InputError
from jaxmem.models.cnn import cnn
from jaxmem.models.contract import Model, Spec, check_model, from_linen
from jaxmem.models.densenet import densenet100
from jaxmem.models.inception import inception
from jaxmem.models.linear import linear
from jaxmem.models.mlp import mlp
from jaxmem.models.resnet import resnet18, resnet50
from jaxmem.models.resnet9 import resnet9

# name -> factory(spec). Add your own: MODELS["mine"] = my_factory.
MODELS: dict[str, Callable[[Spec], Model]] = {
    "linear": linear,
    "mlp": mlp,
    "cnn": cnn,
    "resnet9": resnet9,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "inception": inception,
    "densenet100": densenet100,
}


def make_model(name: str, spec: Spec) -> Model:
    """The model of that name; raises InputError, listing the known ones."""
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; known: {', '.join(sorted(MODELS))}")
    return MODELS[name](spec)


__all__ = ["MODELS", "Model", "Spec", "check_model", "from_linen", "make_model"]
