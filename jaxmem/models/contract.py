"""What jaxmem asks of an architecture: two pure functions for ONE model."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxmem.errors import InputError

PyTree = Any


class Model(NamedTuple):
    """An architecture.

    init(key, image_HxWxC) -> (params, state): fresh parameters, which the optimiser
      changes, and state, which it does not (running statistics; {} where there are none).
    apply(params, state, images_BxHxWxC, weights_B) -> (logits_BxC, state), in float32.
      weights_B, the loss weights of the batch, means training: a layer that mixes examples
      must weigh them by it, so that an example of weight 0 leaves no trace. None means
      evaluation: every example alone, state unchanged.
    features(params, state, images_BxHxWxC) -> features_BxD, what the last dense layer is
      given in evaluation; None where nobody knows.
    """

    init: Callable[[jax.Array, jax.Array], tuple[PyTree, PyTree]]
    apply: Callable[[PyTree, PyTree, jax.Array, jax.Array | None], tuple[jax.Array, PyTree]]
    features: Callable[[PyTree, PyTree, jax.Array], jax.Array] | None = None


class Spec(NamedTuple):
    """What a factory of `MODELS` is told."""

    num_classes: int
    hidden: tuple[int, ...] = ()  # widths of the hidden layers, where the model has a say
    dtype: Any = jnp.float32  # of products and activations; parameters are float32


def check_model(name: str, model: Model, images) -> int:
    """How many numbers the optimiser changes, for images like images [R, H, W, C].

    Raises InputError where the model cannot take such images.
    """
    image = jax.ShapeDtypeStruct(images.shape[1:], jnp.float32)

    def forward(image):
        params, state = model.init(jax.random.key(0), image)
        return params, model.apply(params, state, image[None], None)[0]

    shape = tuple(images.shape[1:])
    try:
        program = jax.make_jaxpr(forward)(image)
        params, _ = jax.eval_shape(forward, image)
        made = [variable.aval.shape for eqn in program.eqns for variable in eqn.outvars]
        if any(0 in shape for shape in made):
            raise ZeroDivisionError  # as its initialisers do, where they notice
    except ZeroDivisionError as error:
        raise InputError(
            f"inputs of shape {shape} are too small for model {name}, which pools them to "
            "nothing; mlp and linear take any"
        ) from error
    except (TypeError, ValueError) as error:
        raise InputError(
            f"model {name} cannot take inputs of shape {shape}: {error}"
        ) from error
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def from_linen(module: nn.Module) -> Model:
    """A Model of a Flax Linen module called as `module(images_BxHxWxC, weights_B)`.

    Its "params" collection is trained; every other collection is state.
    """

    def init(key, image):
        state = dict(module.init(key, image[None], None))
        return state.pop("params"), state

    def apply(params, state, images, weights):
        variables = {"params": params, **state}
        if weights is None:
            return module.apply(variables, images, None), state
        return module.apply(variables, images, weights, mutable=list(state))

    def features(params, state, images):
        seen = []

        def note(call, args, kwargs, context):
            if isinstance(context.module, nn.Dense):
                seen.append(args[0])
            return call(*args, **kwargs)

        with nn.intercept_methods(note):
            module.apply({"params": params, **state}, images, None)
        if not seen:
            raise InputError(f"{type(module).__name__} has no dense layer")
        return seen[-1].reshape((images.shape[0], -1)).astype(jnp.float32)

    return Model(init, apply, features)
