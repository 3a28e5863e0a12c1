"""What jaxmem asks of an architecture: two pure functions for ONE model."""

import math
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmem.errors import InputError

PyTree = Any


class Shared(NamedTuple):
    """Parameters that are one and the same for all trials, and do not change."""

    values: PyTree  # in NumPy
    bind: Callable[[PyTree], "Model"]  # the model by them, wherever they lie


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
    random: apply takes a key as well, apply(params, state, images, weights, key=None); in
      training it is that of the step, in evaluation None.
    shared: frozen parameters, which init does not give and apply adds.
    """

    init: Callable[[jax.Array, jax.Array], tuple[PyTree, PyTree]]
    apply: Callable[..., tuple[jax.Array, PyTree]]
    features: Callable[[PyTree, PyTree, jax.Array], jax.Array] | None = None
    random: bool = False
    shared: Shared | None = None


class Spec(NamedTuple):
    """What a factory of `MODELS` is told."""

    num_classes: int
    hidden: tuple[int, ...] = ()  # widths of the hidden layers, where the model has a say
    dtype: Any = jnp.float32  # of products and activations; parameters are float32
    image_shape: tuple[int, ...] = ()  # H, W, C of what the network sees


def check_model(name: str, model: Model, images, num_classes: int | None = None) -> int:
    """How many numbers the optimiser changes, for images like images [R, H, W, C].

    Raises InputError where the model cannot take such images, or has not as many logits as
    there are classes.
    """
    image = jax.ShapeDtypeStruct(images.shape[1:], jnp.float32)

    def forward(image):
        params, state = model.init(jax.random.key(0), image)
        return params, model.apply(params, state, image[None], None)[0]

    shape = tuple(images.shape[1:])
    try:
        program = jax.make_jaxpr(forward)(image)
        params, logits = jax.eval_shape(forward, image)
        made = [variable.aval.shape for eqn in program.eqns for variable in eqn.outvars]
        if any(0 in shape for shape in made):
            raise ZeroDivisionError  # as its initialisers do, where they notice
    except ZeroDivisionError as error:
        raise InputError(
            f"inputs of shape {shape} are too small for model {name}, which pools them to "
            "nothing; mlp and linear take any"
        ) from error
    except InputError:
        raise
    except Exception as error:  # of whatever library the network is written in
        raise InputError(
            f"model {name} cannot take inputs of shape {shape}: {one_line(error)}"
        ) from error
    if num_classes is not None and logits.shape != (1, num_classes):
        raise InputError(
            f"model {name} gives {list(logits.shape[1:])} logits an example, the data have "
            f"{num_classes} classes; take num_classes from what the factory is told"
        )
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def one_line(error: BaseException, file: str | None = None) -> str:
    """What an error says, in one line, and where in a file of the user's."""
    last = traceback.format_exception_only(error)[-1].strip().splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame.lineno for frame in frames if frame.filename == file]
    line = error.lineno if isinstance(error, SyntaxError) else (places or [None])[-1]
    return last[0] + (f" (line {line})" if file and line else "")
