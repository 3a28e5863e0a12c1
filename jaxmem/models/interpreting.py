"""Evaluate the equations of a traced program one by one."""

from collections.abc import Sequence
from typing import Any

from jax.extend.core import JaxprEqn, Literal, Var


def read(known: dict[Var, Any], atoms: Sequence[Any]) -> list[Any]:
    """The values of what an equation names: constants, and what is known."""
    return [atom.val if isinstance(atom, Literal) else known[atom] for atom in atoms]


def bind(eqn: JaxprEqn, values: Sequence[Any]) -> list[Any]:
    """The results of an equation, as it stands."""
    params = eqn.primitive.get_bind_params(eqn.params)
    parts: Sequence[Any] = ()
    if isinstance(params, tuple):  # before JAX had them as a parameter
        parts, params = params
    found = eqn.primitive.bind(*parts, *values, **params)
    return list(found) if eqn.primitive.multiple_results else [found]
