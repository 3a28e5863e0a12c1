"""One architecture a file, all behind `Model(init, apply)`; Flax is imported here alone."""

from collections.abc import Callable
from typing import Any

from jaxmem.errors import InputError
from jaxmem.models import own
from jaxmem.models.airbench import airbench
from jaxmem.models.cnn import cnn
from jaxmem.models.contract import Model, Spec, check_model
from jaxmem.models.densenet import densenet100
from jaxmem.models.inception import inception
from jaxmem.models.linear import linear
from jaxmem.models.linen import from_linen
from jaxmem.models.mlp import mlp
from jaxmem.models.own import Options
from jaxmem.models.resnet import resnet18, resnet50
from jaxmem.models.resnet9 import resnet9
from jaxmem.models.vit import vit

# name -> factory(spec). Add your own: MODELS["mine"] = my_factory, or a module's class.
MODELS: dict[str, Callable[..., Any]] = {
    "linear": linear,
    "mlp": mlp,
    "cnn": cnn,
    "airbench": airbench,
    "resnet9": resnet9,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "inception": inception,
    "densenet100": densenet100,
    "vit": vit,
}
BUILT_IN = tuple(MODELS.values())


def make_model(name: str, spec: Spec, options: Options | None = None) -> Model:
    """The model of that name, or of what my_net.py:make or package.module:make names.

    options: keywords of its factory. Raises InputError for an unknown name, listing the
    known ones, and where a factory makes no network.
    """
    if not isinstance(name, str):
        raise InputError(
            f"model {name!r} is no name; jaxmem.MODELS['mine'] = … gives it one, or give "
            f"{own.WAY}"
        )
    if ":" in name and name not in MODELS:
        return own.build(name, own.find(name).target, spec, options or {})
    if name not in MODELS:
        raise InputError(
            f"unknown model {name!r}; known: {', '.join(sorted(MODELS))}; "
            f"one of your own: {own.WAY}"
        )
    return own.build(name, MODELS[name], spec, options or {})


def is_own(name: str) -> bool:
    """Whether a model is the user's, not one of ours."""
    return name not in MODELS or MODELS[name] not in BUILT_IN


__all__ = ["MODELS", "Model", "Spec", "check_model", "from_linen", "make_model"]
