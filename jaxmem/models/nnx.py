"""A Flax NNX module as a Model."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxmem.models.calling import arguments, asks_for
from jaxmem.models.contract import Model
from jaxmem.models.linen import masked, note_exchange

WEIGHTS: ContextVar[jax.Array | None] = ContextVar("weights of the batch", default=None)


class WeightedBatchNorm(nnx.BatchNorm):
    """nnx.BatchNorm, given the mask of the examples that count."""

    def __call__(self, x, use_running_average=None, *, mask=None):
        """As its own, over those examples alone."""
        weights = WEIGHTS.get()
        if weights is not None and weights.shape[0] == x.shape[0]:
            mask = masked({"mask": mask}, x, weights)["mask"]
        return super().__call__(x, use_running_average, mask=mask)


def from_nnx(
    build: Callable[[nnx.Rngs], nnx.Module], *, replace_batch_norm: bool = True
) -> Model:
    """A Model of a Flax NNX module, called as `from_linen` calls its own, in its mode.

    build: makes the module with fresh parameters. Its `nnx.Param` are trained, its random
      streams are started anew each step, and every other variable is state.
    replace_batch_norm: exchange each nnx.BatchNorm for one that leaves out examples of
      weight 0.
    """
    exchanged: list[str] = []

    def made(key):
        module = build(nnx.Rngs(key))
        if replace_batch_norm:
            exchanged[:] = _weigh(module)
        return nnx.split(module, nnx.Param, nnx.RngState, ...)

    graph, *kinds = jax.eval_shape(made, jax.random.key(0))
    trained, streams, rest = (jax.tree.flatten_with_path(kind) for kind in kinds)
    asked = asks_for(jax.eval_shape(lambda: nnx.merge(graph, *kinds)))
    said: set[str] = set()

    def init(key, image):
        del image
        _, params, _, state = made(key)
        return _named(params), _named(state)

    def apply(params, state, images, weights, key=None):
        keys = key if key is not None else jax.random.key(0)  # evaluation draws nothing
        module = nnx.merge(
            graph, _tree(trained, params), _started(streams, keys), _tree(rest, state)
        )
        module.eval() if weights is None else module.train()
        token = WEIGHTS.set(weights)
        try:
            logits = module(images, **arguments(asked, weights))
        finally:
            WEIGHTS.reset(token)
        if weights is not None:
            note_exchange(exchanged, said)
            state = _named(nnx.split(module, nnx.Param, nnx.RngState, ...)[3])
        return logits.astype(jnp.float32), state

    return Model(init, apply, random=bool(streams[0]))


def _weigh(module: nnx.Module) -> list[str]:
    """Exchange the batch normalisations in place; returns where they are."""
    found = []
    for path, part in nnx.iter_modules(module):
        if type(part) is nnx.BatchNorm:
            part.__class__ = WeightedBatchNorm  # what it holds is the same
            found.append("/".join(map(str, path)))
    return found


def _named(tree: Any) -> dict[str, jax.Array]:
    """A state as {"layers.0.kernel": array}, which any checkpoint can hold."""
    return {_name(path): leaf for path, leaf in jax.tree.flatten_with_path(tree)[0]}


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")


def _tree(flat: Any, named: dict[str, jax.Array]) -> Any:
    leaves, structure = flat
    return jax.tree.unflatten(structure, [named[_name(path)] for path, _ in leaves])


def _started(flat: Any, key: jax.Array) -> Any:
    """Random streams at their start, each with a key of its own."""
    leaves, structure = flat
    values = [
        jax.random.fold_in(key, number)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else jnp.zeros(leaf.shape, leaf.dtype)
        for number, (_, leaf) in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, values)
