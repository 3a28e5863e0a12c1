"""Two ways to feed a model its subset; one kind of batch: (example index, loss weight).

packed: a trial walks its own shuffled examples; only the padding of the last batch has
weight 0. No work is wasted.
masked: all trials share one shuffled walk over all N examples and weigh it with their own
inclusion mask. One pass of reading feeds every model, at the price of the examples that a
model ignores. A batch then holds about subset_fraction · batch_size examples of a model.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxmem.keys import Purpose, purpose_key, trial_key

Batching = Literal["packed", "masked"]
BATCHINGS: tuple[str, ...] = ("packed", "masked")


class Batches(NamedTuple):
    """One epoch of S batches of B examples."""

    index: jax.Array  # int32 [S, B]
    weight: jax.Array  # float32 [S, B], 0 or 1


def steps_per_epoch(batching: Batching, n: int, m: int, batch_size: int) -> int:
    """S, for n training examples and subsets of m."""
    return -(-(m if batching == "packed" else n) // batch_size)


def epoch_batches(
    batching: Batching,
    root: jax.Array,
    trial: jax.Array,
    epoch: jax.Array,
    subset_m: jax.Array,
    mask_N: jax.Array,
    batch_size: int,
) -> Batches:
    """The batches of one epoch of one trial.

    Padding repeats the first example of the walk at weight 0: in packed mode that is an
    included one, so that no excluded example is ever read.
    """
    if batching == "packed":
        key = jax.random.fold_in(trial_key(root, Purpose.SHUFFLE, trial), epoch)
        walk = jax.random.permutation(key, subset_m)
        weight = jnp.ones(walk.shape, jnp.float32)
    else:
        key = jax.random.fold_in(purpose_key(root, Purpose.SHARED_SHUFFLE), epoch)
        walk = jax.random.permutation(key, jnp.arange(mask_N.size, dtype=jnp.int32))
        weight = mask_N[walk].astype(jnp.float32)
    padding = -walk.size % batch_size
    index = jnp.concatenate([walk, jnp.full(padding, walk[0])])
    weight = jnp.pad(weight, (0, padding))
    shape = (-1, batch_size)
    return Batches(index.reshape(shape), weight.reshape(shape))
