"""What ONE trained trial leaves behind: a function for each quantity of `storage.schema`.

Bits are packed along examples, the first one highest.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmem.training.dynamics import Dynamics
from jaxmem.training.fitting import Predictions

Outcomes = dict[str, jax.Array]  # quantity → its row; of M trials, with a leading M


class Evaluation(NamedTuple):
    """What the final model of a trial says of all examples, and which of them it saw."""

    train: Predictions  # of N examples
    test: Predictions  # of E
    mask: jax.Array  # bool [N]
    count: int | jax.Array  # type: ignore[assignment]  # how many it saw; hides tuple.count
    num_classes: int
    most_excluded: int  # examples that a trial of this run excludes, at most
    epochs: int  # of its training
    dynamics: Dynamics | None = None  # of that; where they are wanted


def outcomes_of(evaluation: Evaluation, quantities: tuple[str, ...]) -> Outcomes:
    """The quantities asked for, and `diverged`."""
    names = *quantities, "diverged"
    return {name: QUANTITIES[name](evaluation) for name in names}


def _final_loss(e: Evaluation) -> jax.Array:
    return jnp.sum(e.train.loss, where=e.mask) / jnp.maximum(e.count, 1)


def _train_accuracy(e: Evaluation) -> jax.Array:
    fitted = jnp.sum(e.train.correct & e.mask, dtype=jnp.int32)
    return fitted.astype(jnp.float32) / e.count  # NaN for a trial that saw nothing


def _diverged(e: Evaluation) -> jax.Array:
    return ~(e.train.finite & e.test.finite & jnp.isfinite(_final_loss(e)))


def _predicted(predictions: Predictions, num_classes: int) -> jax.Array:
    dtype = jnp.uint8 if num_classes <= 256 else jnp.uint16
    return (jnp.mod(predictions.offset, num_classes)).astype(dtype)


def _held_out_probability(e: Evaluation) -> jax.Array:
    """In the order of rows: float16 [most_excluded, K]; NaN beyond their number."""
    (excluded,) = jnp.nonzero(~e.mask, size=e.most_excluded, fill_value=e.mask.size)
    assert e.train.probability is not None  # this quantity asks for it
    rows = e.train.probability.at[excluded].get(mode="fill", fill_value=jnp.nan)
    return rows.astype(jnp.float16)


def _train_query_margin(e: Evaluation) -> jax.Array:
    assert e.train.queries is not None  # this quantity asks for them
    return _float16(e.train.queries.T)


def _float16(values: jax.Array) -> jax.Array:
    """To float16, whose largest number stands for all larger ones."""
    most = float(jnp.finfo(jnp.float16).max)
    return jnp.clip(values, -most, most).astype(jnp.float16)


def _of_training(quantity: Callable[[Dynamics, Evaluation], jax.Array]) -> Callable:
    def of(e: Evaluation) -> jax.Array:
        assert e.dynamics is not None  # these quantities ask for it
        return quantity(e.dynamics, e)

    return of


def _uint16(counts: jax.Array) -> jax.Array:
    return jnp.minimum(counts, jnp.iinfo(jnp.uint16).max).astype(jnp.uint16)


def _learnt_epoch(d: Dynamics, e: Evaluation) -> jax.Array:
    """From 1; one more than there are where the last was wrong; 0 if it never saw it."""
    return _uint16(jnp.where(e.mask, e.epochs - d.streak + 1, 0))


# What the training itself shows; the others are said by the model that it ends in.
_DYNAMICS = {
    "cumulative_loss": _of_training(lambda d, e: _float16(d.loss)),
    "mean_training_margin": _of_training(lambda d, e: _float16(d.margin / e.epochs)),
    "epochs_correct": _of_training(lambda d, e: _uint16(d.correct)),
    "forgetting_events": _of_training(lambda d, e: _uint16(d.forgotten)),
    "learnt_epoch": _of_training(_learnt_epoch),
}
DYNAMICS = frozenset(_DYNAMICS)
QUANTITIES: dict[str, Callable[[Evaluation], jax.Array]] = {
    "included": lambda e: jnp.packbits(e.mask),
    "train_correct": lambda e: jnp.packbits(e.train.correct),
    "test_correct": lambda e: jnp.packbits(e.test.correct),
    "train_accuracy": _train_accuracy,
    "test_accuracy": lambda e: jnp.mean(e.test.correct, dtype=jnp.float32),
    "final_loss": _final_loss,
    "train_predicted": lambda e: _predicted(e.train, e.num_classes),
    "test_predicted": lambda e: _predicted(e.test, e.num_classes),
    "train_margin": lambda e: _float16(e.train.margin),
    "test_margin": lambda e: _float16(e.test.margin),
    "test_highest_margin": lambda e: _float16(e.test.highest),
    "train_query_margin": _train_query_margin,
    "held_out_probability": _held_out_probability,
    **_DYNAMICS,
    "diverged": _diverged,  # bool: a loss or a logit is not finite; stored as `status`
}
