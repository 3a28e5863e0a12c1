"""The optimiser of a recipe: Optax's by name, or the user's own."""

import difflib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxmem._shared.arguments import keywords
from jaxmem.errors import InputError
from jaxmem.training.hyperparameters import Recipe

# name -> f(learning_rate, …) -> optax.GradientTransformation, in place of Optax's.
OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {}
DRAWS = "key", "seed"  # parameters of what draws random numbers
SET_BY_FLAGS = "learning_rate", "momentum", "weight_decay"


def make_optimizer(recipe: Recipe, steps: int) -> optax.GradientTransformation:
    """The optimiser that the recipe says, for epochs of `steps` steps.

    The recipe's momentum is its `momentum`, or its `b1`. Weight decay is of kernels alone,
    not of biases and scales: the optimiser's own where it has one, as AdamW's beside the
    gradient (Loshchilov & Hutter 2019, arXiv 1711.05101), else L2 in the gradient.
    """
    if recipe.optimizer == "nesterov":
        make: Callable = optax.sgd
        given: dict[str, Any] = {"nesterov": True}
    else:
        make, given = _named(recipe.optimizer), {}
    asked = inspect.signature(make).parameters
    for word in ("momentum", "b1"):
        if word in asked:
            given[word] = recipe.momentum or (0.0 if word == "b1" else None)
    decays = "weight_decay" in asked
    if decays:
        given["weight_decay"] = recipe.weight_decay
        given |= {w: _kernels for w in ("mask", "weight_decay_mask") if w in asked}
    given |= keywords("optimizer options", recipe.optimizer_options)
    made = make(_learning_rate(recipe, steps), **given)
    if decays or not recipe.weight_decay:
        return made
    return optax.chain(optax.add_decayed_weights(recipe.weight_decay, _kernels), made)


def check_optimizer(recipe: Recipe) -> None:
    """Try the recipe's optimiser on two parameters; raises InputError where it fails."""
    name = recipe.optimizer
    make = optax.sgd if name == "nesterov" else _named(name)
    asked = inspect.signature(make).parameters
    options = keywords("optimizer options", recipe.optimizer_options)
    for word in options:
        if word in SET_BY_FLAGS:
            flag = word.replace("_", "-")
            raise InputError(f"optimizer options set {word}; give --{flag}={options[word]}")
        if word not in asked:
            known = ", ".join(w for w in asked if w not in SET_BY_FLAGS) or "none"
            raise InputError(f"optimizer {name} knows no option {word}; it takes {known}")
    if drawn := [word for word in DRAWS if word in asked]:
        raise InputError(
            f"optimizer {name} draws random numbers by a {drawn[0]} of its own, which all "
            "trials would share; take another"
        )

    def step(params):
        optimizer = make_optimizer(recipe, 1)
        return optimizer.update(params, optimizer.init(params), params)[0]

    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    try:
        found = jax.eval_shape(step, params)
    except InputError:
        raise
    except Exception as error:  # of whatever optimiser the user names
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"optimizer {name} cannot take a step: {said[0]}") from error
    if not isinstance(found, dict) or found.keys() != params.keys():
        raise InputError(f"optimizer {name} gives no update of every parameter")


def in_words(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe's fields as a configuration holds them: an optimiser by its name.

    A function is known by its own name from then on; options may be a dict. Raises
    InputError for a function without a name, or with another's.
    """
    made, options = recipe.get("optimizer"), recipe.get("optimizer_options")
    words = {}
    if callable(made):
        name = getattr(made, "__name__", "<lambda>")
        if not name.isidentifier():
            raise InputError("the optimizer's function has no name; define it by def")
        if name == "nesterov" or getattr(optax, name, made) is not made:
            raise InputError(f"the optimizer {name} is called as one of Optax's; rename it")
        OPTIMIZERS[name] = made
        words["optimizer"] = name
    if isinstance(options, dict):
        words["optimizer_options"] = ",".join(f"{k}={v!r}" for k, v in options.items())
    return recipe | words


def _named(name: str) -> Callable[..., optax.GradientTransformation]:
    """The function of a name: the user's, or Optax's."""
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    known = [n for n, function in vars(optax).items() if _makes_optimizer(n, function)]
    if name not in known:
        close = difflib.get_close_matches(name, ["nesterov", *known], n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InputError(
            f"unknown optimizer {name!r}: {hint}known: nesterov, {', '.join(sorted(known))}"
        )
    return getattr(optax, name)


def _makes_optimizer(name: str, function: Any) -> bool:
    if name.startswith(("_", "scale_by_")) or not inspect.isfunction(function):
        return False
    return next(iter(inspect.signature(function).parameters), None) == "learning_rate"


def _kernels(params: Any) -> Any:
    return jax.tree.map(lambda a: a.ndim > 1, params)


def _learning_rate(recipe: Recipe, steps: int) -> float | optax.Schedule:
    """A warm-up of W steps takes 1, 2, … W parts in W + 1 of the rate, never 0."""
    warmup, total = recipe.warmup_steps(steps), recipe.epochs * steps
    rate: float | optax.Schedule = recipe.learning_rate
    if recipe.schedule == "linear":
        rate = optax.linear_schedule(rate, 0.0, total - warmup)
    if not warmup:
        return rate
    rest = rate if callable(rate) else optax.constant_schedule(rate)
    peak = recipe.learning_rate
    up = optax.linear_schedule(peak / (warmup + 1), peak, warmup)
    return optax.join_schedules([up, rest], [warmup])
