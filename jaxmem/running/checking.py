"""A network of the user's is tried before it is trusted: one step, on a few rows."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem._shared.progress import say
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.models import Model
from jaxmem.models.contract import PyTree, one_line
from jaxmem.models.exchange import left_slow
from jaxmem.models.freezing import by_path
from jaxmem.models.mixing import mixing_layers
from jaxmem.training import fitting
from jaxmem.training.fitting import Learner, TrainState
from jaxmem.training.keys import root_key

ROWS = 16  # half of them included
# How much of a step may be rounding: products of other shapes add in another order.
ROUNDING = {"float32": 1e-3, "bfloat16": 5e-2}
# Compiled in a second: these programs run once.
_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
WAY = (
    "weigh examples there by the batch's weights, as __call__(self, x, weights) and "
    "jaxmem.models.layers.BatchNorm do, or normalise each alone, as GroupNorm and LayerNorm"
)


class _Rows(NamedTuple):
    images: np.ndarray  # float32 [R, H, W, C]
    labels: np.ndarray  # int32 [R]
    weights: np.ndarray  # float32 [R], the included ones first

    @property
    def included(self) -> "_Rows":
        """Without the others."""
        count = int(self.weights.sum())
        return _Rows(*(a[:count] for a in self))

    @property
    def garbled(self) -> "_Rows":
        """With something else in the others."""
        seen = self.weights > 0
        images = np.where(seen[:, None, None, None], self.images, np.float32(7))
        return self._replace(images=images, labels=np.where(seen, self.labels, 0))


def check_network(name: str, learner: Learner, data: Dataset) -> None:
    """Whether trainings of a network can be compared.

    Rows that a trial does not see must leave no trace, neither by their values (the same
    bits) nor by being there (to rounding); an example's logits must depend on no other; the
    state must keep its shape. Raises InputError, naming the layers through which examples
    mix.
    """
    rows, model = _rows(data), learner.model
    _check_kinds(name, model, rows.images)
    fresh, logits = _start(model, rows)
    if not np.isfinite(logits).all():
        raise InputError(f"model {name} gives logits that are not finite, untrained")
    share = ROUNDING[learner.recipe.precision]
    mine = logits[:, : len(rows.included.images)]
    if not np.allclose(mine[0], mine[1], share, share):
        _refuse_mixing(name, "in evaluation, ", model, fresh, rows, None)
    step = _step(learner, fresh)
    together, garbled, alone = step(rows), step(rows.garbled), step(rows.included)
    if not (_same(together, garbled) and _near(together, alone, fresh, share)):
        if not _same(alone, _step(learner, fresh)(rows.included)):
            raise InputError(
                f"model {name} is not pure: the same step twice gives other parameters. "
                "Draw random numbers by the library's layers and keys, and keep no state "
                "outside"
            )
        _refuse_mixing(name, "", model, fresh, rows, rows.weights)
    args = _arguments(model, fresh, rows, rows.weights)
    if slow := left_slow(inspect.unwrap(model.apply), *args):
        say(f"{'; '.join(slow)}: no fast way here for many models at once")


def _rows(data: Dataset) -> _Rows:
    """Some training rows, standardised by themselves."""
    x = np.asarray(data.train.images[:ROWS], np.float32)
    x = x - x.mean(0)
    scale = np.broadcast_to(x.std(0), x.shape)
    x = np.divide(x, scale, np.zeros_like(x), where=scale > 0)
    weights = np.arange(len(x)) < max(1, len(x) // 2)
    return _Rows(x, data.train.labels[:ROWS], weights.astype(np.float32))


def _start(model: Model, rows: _Rows) -> tuple[TrainState, np.ndarray]:
    """A fresh model, and its logits [2, R, K] of the rows, and of the garbled ones."""

    @_jit
    def start(images):
        params, state = model.init(root_key(0), images[0, 0])

        def evaluate(images):
            return model.apply(params, state, images, None)[0]

        return params, state, jax.lax.map(evaluate, images)

    images = np.stack([rows.images, rows.garbled.images])
    params, state, logits = jax.tree.map(np.asarray, start(images))
    return TrainState(params, state, None), logits


def _step(learner: Learner, fresh: TrainState) -> Callable[[_Rows], TrainState]:
    """One step of the real program, but of plain SGD: parameters move as gradients do."""
    recipe = dataclasses.replace(
        learner.recipe,
        optimizer="sgd",
        learning_rate=1.0,
        momentum=0.0,
        schedule="constant",
        warmup=0.0,
        weight_decay=0.0,
        standardize=False,
    )
    plain = learner._replace(recipe=recipe)
    fresh = fresh._replace(opt_state=plain.optimizer.init(fresh.params))
    key = root_key(0) if learner.model.random else None

    @_jit
    def step(state, rows):
        return fitting.train_step(plain, state, *rows, key)[0]

    return lambda rows: jax.tree.map(np.asarray, step(fresh, rows))


def _check_kinds(name: str, model: Model, images: np.ndarray) -> None:
    """The shapes and dtypes of what a network gives."""
    key, weights = root_key(0), jnp.ones(len(images))
    keys = (key,) if model.random else ()

    def run(images, weights):
        params, state = model.init(key, images[0])
        return params, state, model.apply(params, state, images, weights, *keys)

    try:
        params, state, (logits, new) = jax.eval_shape(run, images, weights)
    except InputError:
        raise
    except Exception as error:  # of whatever library the network is written in
        raise InputError(f"model {name} cannot be trained: {one_line(error)}") from error
    if logits.dtype != jnp.float32:
        raise InputError(f"model {name} gives logits of {logits.dtype}; give float32")
    odd = {str(leaf.dtype) for leaf in jax.tree.leaves(params)} - {"float32"}
    if odd:
        raise InputError(
            f"model {name} has parameters of {', '.join(sorted(odd))}; keep them float32"
        )
    if changed := sorted(_kinds(state) ^ _kinds(new)):
        raise InputError(
            f"the state of model {name} changes its shape in training, at {changed[0]}; "
            "sow into 'intermediates' alone"
        )


def _kinds(tree: PyTree) -> set[str]:
    """Path, dtype and shape of each leaf."""
    return {f"{path} {a.dtype}{list(a.shape)}" for path, a in by_path(tree).items()}


def _same(a: PyTree, b: PyTree) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


def _near(a: TrainState, b: TrainState, fresh: TrainState, share: float) -> bool:
    """Whether parameters, and state, moved alike, but for a share of how far."""

    def length(x: PyTree, y: PyTree) -> float:
        pairs = zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
        return math.sqrt(sum(np.square(x - y, dtype=np.float64).sum() for x, y in pairs))

    def alike(of: Callable[[TrainState], PyTree]) -> bool:
        return length(of(a), of(b)) <= share * length(of(b), of(fresh)) + 1e-6

    return alike(lambda state: state.params) and alike(lambda state: state.model_state)


def _refuse_mixing(
    name: str,
    when: str,
    model: Model,
    fresh: TrainState,
    rows: _Rows,
    weights: np.ndarray | None,
) -> None:
    """Raise InputError, naming the layers; weights: None in evaluation."""
    together, alone = (
        _arguments(model, fresh, part, weights) for part in (rows.garbled, rows.included)
    )
    layers = mixing_layers(inspect.unwrap(model.apply), together, alone)
    places = ", ".join(layers) or "layers that look at the whole batch"
    raise InputError(f"{when}model {name} mixes examples in {places}: {WAY}")


def _arguments(
    model: Model, fresh: TrainState, rows: _Rows, weights: np.ndarray | None
) -> tuple:
    """Of `Model.apply`; weights: None in evaluation."""
    if weights is None:
        return fresh.params, fresh.model_state, rows.images, None
    keys = (root_key(0),) if model.random else ()
    own = weights[: len(rows.images)]
    return fresh.params, fresh.model_state, rows.images, own, *keys
