"""Fine-tuning: where parameters start, and which of them training leaves alone."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from jaxmem.errors import InputError
from jaxmem.models.contract import Model, PyTree, Shared

Values = Mapping[str, Any]  # parameters by their paths, as "Dense_0.kernel"
# What hands on a parameter, in another form.
FORMS = ("transpose", "reshape", "squeeze", "convert_element_type", "broadcast_in_dim")


def by_path(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by their paths, in its order."""
    leaves = jax.tree.flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(p, simple=True, separator="."): leaf for p, leaf in leaves}


def digest(values: Values) -> str:
    """A hash of names and values."""
    found = hashlib.sha256()
    for name, value in sorted(values.items()):
        found.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return found.hexdigest()[:16]


def started(model: Model, params: Values, state: Values) -> Model:
    """The model, whose parameters and state start from those of the same path and shape."""

    def from_given(tree, given):
        def take(path, fresh):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            same = name in given and given[name].shape == fresh.shape
            return jnp.asarray(given[name], fresh.dtype) if same else fresh

        return jax.tree.map_with_path(take, tree)

    def init(key, image):
        fresh = model.init(key, image)
        return from_given(fresh[0], params), from_given(fresh[1], state)

    return model._replace(init=init)


def frozen(model: Model, shape: tuple[int, ...], values: Values) -> Model:
    """The model, of whose parameters those given are one and the same for all trials.

    shape: of an image, [H, W, C]. The others are its parameters, by their paths.
    """
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    whole = jax.eval_shape(model.init, jax.random.key(0), image)[0]
    names, structure = list(by_path(whole)), jax.tree.structure(whole)

    def init(key, image):
        params, state = model.init(key, image)
        return {n: a for n, a in by_path(params).items() if n not in values}, state

    def bind(values: Values) -> Model:
        def merging(call):
            def merged(params, *others):
                known = {**params, **values}
                params = jax.tree.unflatten(structure, [known[name] for name in names])
                return call(params, *others)

            return merged

        apply = merging(model.apply)
        apply.__wrapped__ = merging(inspect.unwrap(model.apply))
        features = merging(model.features) if model.features else None
        return Model(init, apply, features, model.random)

    return bind(values)._replace(shared=Shared(dict(values), bind))


def values_to_freeze(
    model: Model, shape: tuple[int, ...], trainable: Callable[[str], bool] | str
) -> dict[str, np.ndarray]:
    """The parameters that are not trainable: a predicate on paths, or "head".

    Raises InputError where nothing is trained, where nothing is frozen, and where frozen
    ones would differ from trial to trial.
    """
    if isinstance(trainable, str):
        trainable = _head(model, shape, trainable)
    image = np.zeros(shape, np.float32)
    init = jax.jit(model.init)
    some, others = (by_path(init(jax.random.key(seed), image)[0]) for seed in (0, 1))
    found = {name: np.asarray(a) for name, a in some.items() if not trainable(name)}
    if not found or len(found) == len(some):
        kind = "all" if found else "none"
        raise InputError(f"{kind} of the parameters are frozen: {', '.join(some)}")
    for name, value in found.items():
        if not np.array_equal(value, others[name]):
            raise InputError(
                f"frozen parameters must not differ from trial to trial, but {name} is "
                "drawn anew; give --init-from, or let the factory start from given ones"
            )
    return found


def _head(model: Model, shape: tuple[int, ...], word: str) -> Callable[[str], bool]:
    """Whether a parameter is of the last dense layer."""
    if word != "head":
        raise InputError(f"unknown train {word!r}; known: head")
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    params, state = jax.eval_shape(model.init, jax.random.key(0), image.update(shape=shape))

    def logits(params, state, image):
        return inspect.unwrap(model.apply)(params, state, image, None)[0]

    jaxpr = jax.make_jaxpr(logits)(params, state, image).jaxpr
    origin = dict(zip(jaxpr.invars, by_path(params), strict=False))
    last = None
    for eqn in jaxpr.eqns:
        known = [v for v in eqn.invars if not isinstance(v, Literal) and v in origin]
        if known and eqn.primitive.name in FORMS:
            origin[eqn.outvars[0]] = origin[known[0]]
        elif known and eqn.primitive.name == "dot_general":
            last = origin[known[-1]]
    if last is None:
        raise InputError("the network has no last dense layer; give trainable= a predicate")
    parent = last.rpartition(".")[0]
    return lambda name: name.rpartition(".")[0] == parent
