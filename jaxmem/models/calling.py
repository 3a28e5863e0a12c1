"""How a network wants to be called, by the names of its parameters."""

import inspect
from collections.abc import Callable
from typing import Any

import jax

from jaxmem.errors import InputError

TRAINING = ("train", "training", "is_training")
EVALUATION = ("deterministic", "inference", "use_running_average")
KNOWN = "(x), (x, train), (x, training=), (x, deterministic=), (x, weights)"


def parameters_of(call: Callable) -> dict[str, inspect.Parameter]:
    """What a function takes, without self, *args and **kwargs."""
    call = call.__init__ if inspect.isclass(call) else call  # metaclasses hide it
    various = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    found = inspect.signature(call).parameters.items()
    return {n: p for n, p in found if n != "self" and p.kind not in various}


def asks_for(module: Any, others: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The parameters of a module's call, after the images, that we know.

    others: names known beside `KNOWN`. Raises InputError where it needs one that we do not.
    """
    kind = type(module)
    known = (*TRAINING, *EVALUATION, "weights", *others)
    try:
        _, *rest = parameters_of(kind.__call__).values()
    except (AttributeError, ValueError, TypeError):
        raise InputError(f"{kind.__name__} has no __call__(self, x)") from None
    for parameter in rest:
        if parameter.name not in known and parameter.default is parameter.empty:
            more = "".join(f", (x, {name})" for name in others)
            raise InputError(
                f"{kind.__name__} is called with {parameter.name!r}, which jaxmem does not "
                f"know; it knows {KNOWN}{more}"
            )
    return tuple(parameter.name for parameter in rest if parameter.name in known)


def arguments(asked: tuple[str, ...], weights: jax.Array | None) -> dict[str, Any]:
    """Of what a call asks for, what follows from the weights of a batch."""
    training = weights is not None
    values: dict[str, Any] = dict.fromkeys(TRAINING, training)
    values |= dict.fromkeys(EVALUATION, not training)
    values["weights"] = weights
    return {name: values[name] for name in asked if name in values}
