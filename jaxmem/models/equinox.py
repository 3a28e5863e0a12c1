"""An Equinox module as a Model."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxmem.errors import InputError
from jaxmem.models.calling import arguments, asks_for
from jaxmem.models.contract import Model


def from_equinox(build: Callable[[jax.Array], Any]) -> Model:
    """A Model of an Equinox module, called with one example [C, H, W], as its layers are.

    That is `module(x)`, with `key=`, with a state, `module(x, state) -> (logits, state)`,
    or as `from_linen` calls its own.

    build: makes the module, or (module, state), with fresh parameters of a key. Its arrays
      of floats are trained; other arrays, and the state, are state.
    """
    module, state = _with_state(eqx.filter_eval_shape(build, jax.random.key(0)))
    _refuse_batch_norm(module)
    asked = asks_for(module, ("key", "state"))
    leaves, structure = jax.tree.flatten((module, state))
    names = _names((module, state))
    held = len(jax.tree.leaves(module))  # leaves of the module; those of the state follow
    arrays = [_is_array(leaf) for leaf in leaves]
    trained = [
        is_array and place < held and jnp.issubdtype(leaf.dtype, jnp.inexact)
        for place, (is_array, leaf) in enumerate(zip(arrays, leaves, strict=True))
    ]

    def chosen(tree, wanted):
        rows = zip(names, jax.tree.leaves(tree), wanted, strict=True)
        return {name: leaf for name, leaf, take in rows if take}

    others = [array and not take for array, take in zip(arrays, trained, strict=True)]

    def init(key, image):
        del image
        made = _with_state(build(key))
        return chosen(made, trained), chosen(made, others)

    def apply(params, state, images, weights, key=None):
        known = {**params, **state}
        values = [known.get(*pair) for pair in zip(names, leaves, strict=True)]
        module, inner = jax.tree.unflatten(structure, values)
        module = eqx.nn.inference_mode(module, weights is None)
        kwargs, rows = arguments(asked, None), images.transpose(0, 3, 1, 2)
        if weights is not None:
            kwargs = arguments(asked, weights)
        keys = None if key is None else jax.random.split(key, len(images))

        def one(x, key, weight):
            own = kwargs | ({"weights": weight} if "weights" in kwargs else {})
            own |= {"key": key} if "key" in asked else {}
            if "state" in asked:
                return module(x, state=inner, **own)
            return module(x, **own), inner

        axes = (0, 0 if key is not None else None, None if weights is None else 0)
        logits, inner = jax.vmap(one, axes, (0, None))(rows, keys, weights)
        if weights is not None:
            state = chosen((module, inner), others)
        return logits.astype(jnp.float32), state

    return Model(init, apply, random="key" in asked)


def _with_state(made: Any) -> tuple[Any, Any]:
    if isinstance(made, tuple):
        return made
    return made, None


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def _names(tree: Any) -> list[str]:
    """A name for each leaf, as "layers.0.weight"; those of the state by their number."""
    module, state = tree
    paths = [path for path, _ in jax.tree.flatten_with_path(module)[0]]
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path in paths]
    return names + [f"state.{n}" for n in range(len(jax.tree.leaves(state)))]


def _refuse_batch_norm(module: Any) -> None:
    def is_norm(part):
        return isinstance(part, eqx.nn.BatchNorm)

    parts = jax.tree.flatten_with_path(module, is_leaf=is_norm)[0]
    found = [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for path, part in parts
        if is_norm(part)
    ]
    if found:
        raise InputError(
            f"{', '.join(found)}: Equinox's BatchNorm mixes examples and cannot leave out "
            "those that a trial does not see; take eqx.nn.GroupNorm or LayerNorm, or "
            "Flax's BatchNorm"
        )
