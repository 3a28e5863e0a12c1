"""Which training examples each trial sees (step 1 of the paper's Algorithm 1)."""

import jax
import jax.numpy as jnp

from jaxmem.errors import InputError
from jaxmem.keys import Purpose, trial_key


def subset_size(n: int, fraction: float) -> int:
    """m = round(fraction · n), the size of every subset of n examples.

    Raises InputError unless 0 < fraction < 1 and both sides hold at least one example.
    """
    if not 0 < fraction < 1:
        raise InputError(
            f"subset fraction {fraction} is outside (0, 1); the paper uses 0.7"
        )
    m = round(fraction * n)
    if not 0 < m < n:
        raise InputError(
            f"subset fraction {fraction} of {n} examples leaves {m} in and {n - m} out; "
            "both must be at least 1"
        )
    return m


def draw_subset(root: jax.Array, trial: jax.Array, n: int, m: int) -> jax.Array:
    """The m distinct examples of one trial, in random order: int32 [m]."""
    key = trial_key(root, Purpose.SUBSET, trial)
    return jax.random.permutation(key, jnp.arange(n, dtype=jnp.int32))[:m]


def given_subset(masks: jax.Array, trial: jax.Array, n: int, m: int) -> jax.Array:
    """The m examples in one trial's row of bits, uint8 [T, ceil(n / 8)]: int32 [m]."""
    mask = jnp.unpackbits(masks[trial], count=n)
    return jnp.nonzero(mask, size=m)[0].astype(jnp.int32)


def inclusion_mask(subset_m: jax.Array, n: int) -> jax.Array:
    """The same subset as a mask over all n examples: bool [n]."""
    return jnp.zeros(n, bool).at[subset_m].set(True)
