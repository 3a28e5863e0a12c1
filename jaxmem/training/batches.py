"""Two ways to feed a model its subset; one kind of batch: (example index, loss weight).

packed: a trial walks its own shuffled examples. No work is wasted.
masked: a group of trials shares one shuffled walk over all N examples, and each weighs it
with its own inclusion mask. One pass of reading feeds the group, at the price of the
examples that a model ignores. A batch then holds about subset_fraction · batch_size
examples of a model.

Either walk is cut into batches whose sizes differ by at most one: a last batch of a few
examples would take as large a step as any other.
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from jaxmem.training.augmentation import Views
from jaxmem.training.keys import Purpose, group_key, trial_key
from jaxmem.training.subsets import Subset

Batching = Literal["packed", "masked"]
BATCHINGS: tuple[str, ...] = get_args(Batching)


class Batches(NamedTuple):
    """One epoch of S batches of up to B examples."""

    index: jax.Array  # type: ignore[assignment]  # int32 [S, B]; hides tuple.index
    weight: jax.Array  # float32 [S, B], 0 or 1
    views: Views | None = None  # of each place, where images are augmented
    key: jax.Array | None = None  # keys [S], where the model has random layers


def steps_per_epoch(batching: Batching, n: int, m: int, batch_size: int) -> int:
    """S, for n training examples and subsets of m."""
    return -(-(m if batching == "packed" else n) // batch_size)


def epoch_key(
    batching: Batching,
    root: jax.Array,
    trial: jax.Array,
    epoch: jax.Array,
    own: Purpose,
    shared: Purpose,
) -> jax.Array:
    """The key of an epoch: of the trial's own in packed mode, of its group's in masked."""
    if batching == "packed":
        return jax.random.fold_in(trial_key(root, own, trial), epoch)
    return jax.random.fold_in(group_key(root, shared, trial), epoch)


def epoch_batches(
    batching: Batching,
    root: jax.Array,
    trial: jax.Array,
    epoch: jax.Array,
    subset: Subset,
    mask_N: jax.Array,
    steps: int,
    by_row: bool = False,
) -> Batches:
    """The batches of one epoch of one trial, `steps` of them.

    by_row: packed batches too walk an order of all N examples, from which those that are
    excluded fall out: it then depends on the key alone, not on what else is included.

    Places beyond a batch's end repeat the first example of the walk at weight 0: in packed
    mode that is an included one, so that no excluded example is ever read.
    """
    purposes = Purpose.SHUFFLE, Purpose.SHARED_SHUFFLE
    key = epoch_key(batching, root, trial, epoch, *purposes)
    if batching == "packed" and not by_row:
        walk = _shuffled(key, subset)
    else:
        walk = jax.random.permutation(key, jnp.arange(mask_N.size, dtype=jnp.int32))
    if batching == "packed" and by_row:
        walk = walk[jnp.argsort(~mask_N[walk], stable=True)][: subset.index.size]
    length = subset.count if batching == "packed" else walk.size
    size, longer = length // steps, length % steps  # the first `longer` have one more
    step = jnp.arange(steps, dtype=jnp.int32)[:, None]
    place = jnp.arange(-(-walk.size // steps), dtype=jnp.int32)[None]
    inside = place < size + (step < longer)
    index = walk[jnp.where(inside, step * size + jnp.minimum(step, longer) + place, 0)]
    if batching == "masked":
        inside &= mask_N[index]
    return Batches(index, inside.astype(jnp.float32))


def layer_keys(
    root: jax.Array, trial: jax.Array, epoch: jax.Array, steps: int
) -> jax.Array:
    """The keys of an epoch's steps for a trial's random layers: keys [S].

    The trial's own in masked batches too: what is shared makes trials depend on each other.
    """
    key = trial_key(root, Purpose.LAYERS, trial)
    step = epoch * steps + jnp.arange(steps, dtype=jnp.int32)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, step)


def _shuffled(key: jax.Array, subset: Subset) -> jax.Array:
    """The subset in random order, its padding last: int32 [M]."""
    if isinstance(subset.count, int):  # no padding
        return jax.random.permutation(key, subset.index)
    place = jax.random.permutation(key, jnp.arange(subset.index.size, dtype=jnp.int32))
    return subset.index[place[jnp.argsort(place >= subset.count, stable=True)]]
