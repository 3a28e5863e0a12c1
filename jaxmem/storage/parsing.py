"""JSON values as what type annotations say."""

import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from jaxmem.errors import InputError
from jaxmem.training.hyperparameters import LATER, Recipe


def parsed(kind: Any, value: Any, what: str) -> Any:
    """A JSON value as what a type annotation says; raises InputError where it is not."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return parsed(parts[0], value, what)
    if origin is Literal and value in parts:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(parsed(parts[0], item, what) for item in value)
    if hasattr(kind, "__annotations__") and isinstance(value, dict):
        kinds = get_type_hints(kind)
        value = {**LATER, **value} if kind is Recipe else value
        if value.keys() != kinds.keys():
            odd = ", ".join(sorted(value.keys() ^ kinds.keys()))
            raise InputError(f"{what} is damaged: it lacks, or does not know, {odd}")
        return kind(**{k: parsed(kinds[k], v, k) for k, v in value.items()})
    if kind is float and type(value) is int:
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise InputError(f"the configuration is damaged: {what} is {value!r}")
