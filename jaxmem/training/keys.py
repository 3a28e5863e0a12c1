"""All randomness of a run: fold_in(root key, purpose, trial), and nothing else.

A trial's numbers therefore depend on (seed, trial) alone: not on the width of the
ensemble, the number of devices, the order of the blocks or a restart.
"""

import enum
from typing import Literal, get_args

import jax

from jaxmem.errors import InputError

# Trials t with the same t // GROUP share the order and the views of masked batches. What
# trials share makes their outcomes depend on each other, and standard errors too small: by
# about GROUP times as much as a pair does (`experiments/shared_orders.py`).
GROUP = 16

# What trials may share, to tell one source of noise from another: their initial parameters;
# all that training draws, that is the order of examples, their views, and random layers.
Fixed = Literal["init", "order"]
FIXED: tuple[str, ...] = get_args(Fixed)


class Purpose(enum.IntEnum):
    """What a key is for. The numbers are part of the results: never reuse or change one."""

    SUBSET = 0  # which examples a trial sees
    INIT = 1  # a trial's initial parameters
    SHUFFLE = 2  # a trial's own order of its examples, per epoch (packed batching)
    SHARED_SHUFFLE = 3  # the order that a group of trials shares, per epoch (masked)
    AUGMENTATION = 4  # a trial's own crops and mirror images, per epoch (packed batching)
    SHARED_AUGMENTATION = 5  # those that a group of trials shares, per epoch (masked)
    BALANCED_SUBSET = 6  # the order of each pass of balanced sampling
    LAYERS = 7  # what a trial's random layers draw, per step


def root_key(seed: int) -> jax.Array:
    """The key of a run from its seed, 0 <= seed < 2**32; raises InputError outside."""
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {seed} is outside 0 … 2**32 - 1")
    # The generator is pinned: a changed JAX default must not change results.
    return jax.random.key(seed, impl="threefry2x32")


def purpose_key(root: jax.Array, purpose: Purpose) -> jax.Array:
    """The key that all trials share for one purpose."""
    return jax.random.fold_in(root, int(purpose))


def trial_key(root: jax.Array, purpose: Purpose, trial: jax.Array) -> jax.Array:
    """The key of one trial (integer scalar) for one purpose."""
    return jax.random.fold_in(purpose_key(root, purpose), trial)


def group_key(root: jax.Array, purpose: Purpose, trial: jax.Array) -> jax.Array:
    """The key that a trial (integer scalar) shares with its group, for one purpose."""
    return jax.random.fold_in(purpose_key(root, purpose), trial // GROUP)
