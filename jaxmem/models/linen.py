"""A Flax Linen module as a Model."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import InvalidRngError

from jaxmem._shared.progress import say
from jaxmem.errors import InputError
from jaxmem.models.calling import arguments, asks_for
from jaxmem.models.contract import Model


def from_linen(
    module: nn.Module, *, random: bool = False, replace_batch_norm: bool = True
) -> Model:
    """A Model of a Flax Linen module, called as it is written.

    That is `module(x)`, `(x, train)`, `(x, training=)`, `(x, deterministic=)` or
    `(x, weights)`, with images [B, H, W, C]. Its "params" collection is trained; every
    other collection is state.

    random: it has layers that draw random numbers in training, such as nn.Dropout.
    replace_batch_norm: give each nn.BatchNorm the mask of the examples that count. Else it
      would mix those of weight 0 into its statistics.
    """
    asked = asks_for(module)
    said: set[str] = set()

    def init(key, image):
        state = dict(module.init(key, image[None], **arguments(asked, None)))
        return state.pop("params", {}), state

    def apply(params, state, images, weights, key=None):
        variables, kwargs = {"params": params, **state}, arguments(asked, weights)
        if weights is None:
            return _float(module.apply(variables, images, **kwargs)), state
        # One stream of keys: whatever others a layer names fall back to it.
        rngs = None if key is None else {"params": key}
        found = []
        with nn.intercept_methods(_weighing(weights, found, replace_batch_norm)):
            logits, state = module.apply(
                variables, images, **kwargs, rngs=rngs, mutable=list(state)
            )
        note_exchange(found, said)
        return _float(logits), state

    def features(params, state, images):
        seen = []

        def note(call, args, kwargs, context):
            if isinstance(context.module, nn.Dense):
                seen.append(args[0])
            return call(*args, **kwargs)

        with nn.intercept_methods(note):
            module.apply({"params": params, **state}, images, **arguments(asked, None))
        if not seen:
            raise InputError(f"{type(module).__name__} has no dense layer")
        return seen[-1].reshape((images.shape[0], -1)).astype(jnp.float32)

    return Model(init, apply, features, random)


def draws(module: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether a module draws random numbers in training, for images of shape [H, W, C]."""
    model = from_linen(module, replace_batch_norm=False)
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    weights = jax.ShapeDtypeStruct((1,), jnp.float32)

    def train(image, weights):
        params, state = model.init(jax.random.key(0), image)
        return model.apply(params, state, image[None], weights)

    try:
        jax.eval_shape(train, image, weights)
    except InvalidRngError:
        return True
    except Exception:
        return False  # `check_model` says what is wrong
    return False


def note_exchange(found: list[str], said: set[str]) -> None:
    """Say once which layers now weigh examples."""
    names = list(dict.fromkeys(found))
    if names and not said:
        said.update(names)
        shown = ", ".join(names[:3])
        shown += f" and {len(names) - 3} more" if len(names) > 3 else ""
        say(f"statistics of what a trial sees alone, by Flax's mask: {shown}")


def _float(logits):
    return logits.astype(jnp.float32)


def _weighing(weights, found: list[str], replace: bool):
    def call_weighed(call, args, kwargs, context):
        module = context.module
        if not (replace and isinstance(module, nn.BatchNorm)):
            return call(*args, **kwargs)
        if context.method_name != "__call__" or args[0].shape[0] != weights.shape[0]:
            return call(*args, **kwargs)
        found.append("/".join(module.path))
        return call(*args, **masked(kwargs, args[0], weights))

    return call_weighed


def masked(kwargs: dict, x: jax.Array, weights: jax.Array) -> dict:
    """The arguments of Flax's BatchNorm for x [B, …], with the mask of what counts."""
    mask = (weights > 0).reshape((-1,) + (1,) * (x.ndim - 1))
    given = kwargs.get("mask")
    return {**kwargs, "mask": mask if given is None else mask & given}
