"""A network's convolutions and pools exchanged for ours, in whatever library it is written.

The network is traced, and its program evaluated again, with `convolution.conv` in place of
each plain 2-D `conv_general_dilated`, and views of windows in place of `reduce_window`.
Other convolutions stay what they are, but models take turns at them under `vmap`. Results
differ by rounding; a `vmap` over models makes no grouped convolutions any more.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from jaxmem.models.convolution import conv
from jaxmem.models.interpreting import bind, read, where
from jaxmem.models.layers import depthwise, max_windows, sum_windows
from jaxmem.models.turns import in_turn
from jaxmem.models.windows import Geometry

Way = Callable[..., jax.Array]
INLINE = ("jit", "pjit", "closed_call", "core_call")
REMAT = ("remat2", "remat", "checkpoint")
POOLS = {"reduce_window_max": max_windows, "reduce_window_sum": sum_windows}
OURS = "jaxmem/models/convolution.py", "jaxmem/models/layers.py"
# What is slow under vmap where it stays, in words.
SLOW = {
    "conv_general_dilated": "convolution",
    "reduce_window_max": "max-pool",
    "reduce_window_sum": "average pool",
}


def exchanged(call: Callable) -> Callable:
    """call(*args), by our convolutions and pools; the original is its `__wrapped__`."""

    @functools.wraps(call)
    def run(*args):
        program, shapes = jax.make_jaxpr(call, return_shape=True)(*args)
        found = _evaluate(program.jaxpr, program.consts, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), found)

    return run


def left_slow(call: Callable, *args) -> list[str]:
    """What of a network stays as it is and is slow under vmap, with its place."""
    program = jax.make_jaxpr(call)(*args)
    found = (eqn for eqn in _all(program.jaxpr, inside=False) if eqn.primitive.name in SLOW)
    return list(dict.fromkeys(f"{SLOW[e.primitive.name]} in {where(e)}" for e in found))


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))
    for eqn in jaxpr.eqns:
        values = read(known, eqn.invars)
        known.update(zip(eqn.outvars, _results(eqn, values), strict=True))
    return read(known, jaxpr.outvars)


def _results(eqn: JaxprEqn, values: list[Any]) -> list[Any]:
    if way := _way(eqn) or _turns(eqn):
        return [way(*values)]
    name, inner = eqn.primitive.name, _opened(eqn)
    if inner is None or not any(_way(e) or _turns(e) for e in _all(inner.jaxpr)):
        return bind(eqn, values)

    def evaluate(*values):
        return _evaluate(inner.jaxpr, inner.consts, values)

    if name in INLINE:
        return evaluate(*values)
    if name in REMAT:
        rules = {k: eqn.params[k] for k in ("policy", "prevent_cse")}
        return jax.checkpoint(evaluate, **rules)(*values)
    body = jax.make_jaxpr(evaluate)(*inner.in_avals)
    return eqn.primitive.bind(*values, **{**eqn.params, "jaxpr": body})


def _opened(eqn: JaxprEqn) -> ClosedJaxpr | None:
    """The program in an equation that we look into; rules of derivatives stay closed."""
    if eqn.primitive.name not in (*INLINE, *REMAT, "scan"):
        return None
    inner: Any = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
    return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())


def _all(jaxpr: Jaxpr, inside: bool = True) -> Iterator[JaxprEqn]:
    """The equations of a program, and of those in it that we look into.

    inside: else those that stay as they are, wherever they are, but for our own layers.
    """
    for eqn in jaxpr.eqns:
        inner = _opened(eqn)
        if inner is not None:
            yield from _all(inner.jaxpr, inside)
        elif inside:
            yield eqn
        elif not _way(eqn) and not _is_ours(eqn):
            yield eqn
            for closed in _closed(eqn):
                yield from (e for e in _everything(closed) if not _is_ours(e))


def _everything(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    for eqn in jaxpr.eqns:
        yield eqn
        for closed in _closed(eqn):
            yield from _everything(closed)


def _closed(eqn: JaxprEqn) -> Iterator[Jaxpr]:
    """All programs among an equation's parameters."""
    for value in jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_program):
        if _is_program(value):
            yield value.jaxpr if isinstance(value, ClosedJaxpr) else value


def _is_program(value: Any) -> bool:
    return isinstance(value, ClosedJaxpr | Jaxpr)


def _is_ours(eqn: JaxprEqn) -> bool:
    trace: Any = eqn.source_info.traceback
    files: list[str] = [frame.file_name for frame in trace.frames] if trace else []
    return any(
        f.endswith(("jaxmem/models/convolution.py", "models/layers.py")) for f in files
    )


def _way(eqn: JaxprEqn) -> Way | None:
    """Our way to compute what an equation says; None: it has none."""
    if eqn.primitive.name == "conv_general_dilated":
        return _conv_of(eqn)
    if eqn.primitive.name in POOLS:
        return _pool_of(eqn)
    return None


def _turns(eqn: JaxprEqn) -> Way | None:
    """The convolution of an equation, by one model after another."""
    if eqn.primitive.name != "conv_general_dilated":
        return None
    avals: list[Any] = [variable.aval for variable in (*eqn.invars, *eqn.outvars)]
    (dtype, *others) = {aval.dtype for aval in avals}
    if others or not jnp.issubdtype(dtype, jnp.floating):
        return None
    return in_turn(lambda images, kernel: bind(eqn, [images, kernel])[0])


def _conv_of(eqn: JaxprEqn) -> Way | None:
    avals: list[Any] = [variable.aval for variable in (*eqn.invars, *eqn.outvars)]
    p, (images, kernel, _) = eqn.params, avals
    dtypes = {aval.dtype for aval in avals}
    dilated = {*p["lhs_dilation"], *p["rhs_dilation"]} != {1}
    groups = p["feature_group_count"]
    odd = p["precision"] is not None or min(map(min, p["padding"]), default=0) < 0
    odd |= p["batch_group_count"] != 1
    if images.ndim != 4 or dilated or odd or len(dtypes) > 1:
        return None
    if not jnp.issubdtype(images.dtype, jnp.floating):
        return None
    b, c, h, w = p["dimension_numbers"].lhs_spec
    k, i, down, right = p["dimension_numbers"].rhs_spec
    n, f, *sides = p["dimension_numbers"].out_spec
    back = np.argsort((n, *sides, f))
    size, window = (
        (images.shape[h], images.shape[w]),
        (kernel.shape[down], kernel.shape[right]),
    )
    g = Geometry(size, window, p["window_strides"], p["padding"])
    alone = groups == images.shape[c] == kernel.shape[k]  # each channel by itself
    if groups > 1 and not alone:
        return None

    def way(images, kernel):
        images, kernel = images.transpose(b, h, w, c), kernel.transpose(down, right, i, k)
        if groups > 1:
            return depthwise(g, images, kernel).transpose(back)
        return conv(images, kernel, g.strides, g.padding).transpose(back)

    return way


def _pool_of(eqn: JaxprEqn) -> Way | None:
    p = eqn.params
    aval: Any = eqn.invars[0].aval
    sizes = zip(p["window_dimensions"], p["window_strides"], p["padding"], strict=True)
    sides = [axis for axis, size in enumerate(sizes) if size != (1, 1, (0, 0))]
    dilated = {*p["base_dilation"], *p["window_dilation"]} != {1}
    if len(sides) != 2 or aval.ndim < 3 or dilated:
        return None
    if not jnp.issubdtype(aval.dtype, jnp.floating):
        return None
    *rows, channels = [axis for axis in range(aval.ndim) if axis not in sides]
    order = (*rows, *sides, channels)
    back = np.argsort(order)

    def of(name):
        return tuple(p[name][side] for side in sides)

    size = tuple(aval.shape[side] for side in sides)
    g = Geometry(size, of("window_dimensions"), of("window_strides"), of("padding"))
    lead = [aval.shape[axis] for axis in rows]

    def way(x):
        x = x.transpose(order).reshape(math.prod(lead), *size, -1)
        x = POOLS[eqn.primitive.name](g, x)
        return x.reshape(*lead, *g.output, -1).transpose(back)

    return way
