"""Evaluate the equations of a traced program one by one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax
import jax
from jax.extend.core import JaxprEqn, Literal, Var

# Whose lines are not the user's.
LIBRARIES = (
    *(str(Path(str(library.__file__)).parent) for library in (jax, flax)),
    str(Path(str(flax.__file__)).parents[1] / "equinox"),
    str(Path(__file__).parent),
)


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


def where(eqn: JaxprEqn) -> str:
    """The layer of an equation, as far as its library names it, and the user's line."""
    layer = str(eqn.source_info.name_stack).replace("vmap(", "").replace(")", "")
    trace: Any = eqn.source_info.traceback
    for frame in trace.frames if trace else ():
        if not frame.file_name.startswith(LIBRARIES):
            place = f"{Path(frame.file_name).name}, line {frame.line_num}"
            return f"{layer} ({place})" if layer else place
    return layer or str(eqn.primitive)
