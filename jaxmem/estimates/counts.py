"""Masks × outcomes → memorization and influence (steps 3 and 4 of Algorithm 1).

Feldman & Zhang, NeurIPS 2020, arXiv 2008.03703. The jitted part counts, in integers; only
the last division rounds, once. The sums over excluded trials are totals minus the sums over
included ones, so one product is enough.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.estimates.bits import count_both


class Counts(NamedTuple):
    """How often models were correct, with and without a training example; integers."""

    hits_in: jax.Array  # trials that included the example and were correct
    n_in: jax.Array  # trials that included it
    hits_out: jax.Array  # trials that excluded it and were correct
    n_out: jax.Array  # trials that excluded it


def memorization_counts(included: np.ndarray, train_correct: np.ndarray, n: int) -> Counts:
    """Counts [n] of the training examples, from packed bits uint8 [T, ceil(n / 8)]."""
    counts = _memorization_counts(included, train_correct)
    return Counts(*(np.asarray(count)[:n] for count in counts))


@jax.jit
def _memorization_counts(included: jax.Array, train_correct: jax.Array) -> Counts:
    """Counts [8·K] from packed bits uint8 [T, K]; bits beyond n count as excluded."""

    def add(sums, trial):
        inside, correct = (jnp.unpackbits(bits).astype(jnp.int32) for bits in trial)
        return jax.tree.map(jnp.add, sums, (inside, correct, inside & correct)), None

    zeros = jnp.zeros(8 * included.shape[1], jnp.int32)
    sums, _ = jax.lax.scan(add, (zeros,) * 3, (included, train_correct))
    n_in, hits, hits_in = sums
    return Counts(hits_in, n_in, hits - hits_in, included.shape[0] - n_in)


@functools.partial(jax.jit, static_argnums=2)
def influence_counts(included: jax.Array, test_correct: jax.Array, trials: int) -> Counts:
    """Counts, hits [R, E] and n [R, 1], from words of trials uint32 [W, R] and [W, E].

    `bits.words_of` makes them of the stored bits; trials is how many of theirs are real.
    """
    hits_in = count_both(included, test_correct)
    hits, n_in = (
        jax.lax.population_count(words).sum(axis=0, dtype=jnp.int32)
        for words in (test_correct, included)
    )
    n_in = n_in[:, None]
    return Counts(hits_in, n_in, hits[None, :] - hits_in, trials - n_in)


def rate_difference(counts: Counts) -> np.ndarray:
    """mean[correct | included] − mean[correct | excluded]: float64, correctly rounded.

    This is mem for memorization_counts and infl for influence_counts. NaN where no trial,
    or every trial, included the example: such an example has no estimate.
    """
    # NumPy, because XLA divides by a broadcast array as a product with its reciprocal,
    # which rounds twice: a value on a threshold could miss it.
    hits_in, n_in, hits_out, n_out = (np.asarray(c, np.float64) for c in counts)
    with np.errstate(invalid="ignore"):
        # Numerator and denominator are whole numbers below 2**53: only "/" rounds.
        return (hits_in * n_out - hits_out * n_in) / (n_in * n_out)
