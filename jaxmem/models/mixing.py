"""Where in a network examples mix: found by trying, operation by operation."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.models.interpreting import bind, read, where

NEAR = 1e-3  # of the largest value: products of other shapes round differently


def mixing_layers(call: Callable, together: tuple, alone: tuple) -> list[str]:
    """The layers of call(*args) that give the same examples other values among others.

    together, alone: its arguments with B rows and with the first b of them; what else they
    have is the same. Returns [] where the two are not the same program.
    """
    programs = [jax.make_jaxpr(call)(*args) for args in (together, alone)]
    of_both = [program.jaxpr for program in programs]
    kinds = [[eqn.primitive for eqn in jaxpr.eqns] for jaxpr in of_both]
    if kinds[0] != kinds[1]:
        return []
    known = [
        dict(zip(program.jaxpr.constvars, program.consts, strict=True))
        | dict(zip(program.jaxpr.invars, jax.tree.leaves(args), strict=True))
        for program, args in zip(programs, (together, alone), strict=True)
    ]
    both = functools.partial(zip, strict=True)
    found: dict[str, None] = {}  # in order
    for eqns in zip(*[jaxpr.eqns for jaxpr in of_both], strict=True):
        outs = [bind(eqn, read(env, eqn.invars)) for eqn, env in both(eqns, known)]
        for place, (many, few) in enumerate(zip(*outs, strict=True)):
            if not _agree(many, few):
                found[where(eqns[0])] = None
                # From here on as alone, so that the next layer is judged by itself.
                outs[0][place] = _with_first(many, few)
        for eqn, env, values in both(eqns, known, outs):
            env.update(zip(eqn.outvars, values, strict=True))
    return list(found)


def _first(many: Any, few: Any) -> tuple[slice, ...]:
    return tuple(slice(size) for size in few.shape)


def _agree(many: Any, few: Any) -> bool:
    if many.ndim != few.ndim or not jnp.issubdtype(few.dtype, jnp.floating) or not few.size:
        return True
    a, b = np.asarray(many[_first(many, few)], np.float32), np.asarray(few, np.float32)
    return a.shape == b.shape and bool(np.abs(a - b).max() <= NEAR * np.abs(b).max())


def _with_first(many: Any, few: Any) -> Any:
    return many.at[_first(many, few)].set(few)
