"""Masks × outcomes → memorization and influence (steps 3 and 4 of Algorithm 1).

Feldman & Zhang, NeurIPS 2020, arXiv 2008.03703. The jitted part counts, in integers; only
the last division rounds, once. The sums over excluded trials are totals minus the sums over
included ones, so one product is enough.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem._shared.devices import Array
from jaxmem.estimates.bits import EXAMPLES, Bits, Words, count_both

INFLUENCE_ROWS = 1024  # training examples per influence product: bounds its memory


class Counts(NamedTuple):
    """How often models were correct, with and without a training example: integer arrays.

    They broadcast against each other: what depends on the training example alone may be
    [R, 1] where hits are [R, E].
    """

    hits_in: Array  # trials that included the example and were correct
    n_in: Array  # trials that included it
    hits_out: Array  # trials that excluded it and were correct
    n_out: Array  # trials that excluded it

    @classmethod
    def from_totals(cls, hits_in, n_in, hits, trials) -> "Counts":
        """The excluded side from all: hits correct trials among `trials` of them."""
        return cls(hits_in, n_in, hits - hits_in, trials - n_in)

    def at(self, row: np.ndarray, column: np.ndarray) -> "Counts":
        """The counts [P] of pairs, int [P] each, of counts [R, E] and [R, 1]."""
        shape = np.shape(self.hits_in)
        return Counts(*(np.broadcast_to(count, shape)[row, column] for count in self))

    def of_errors(self) -> "Counts":
        """The same with wrong trials in the place of correct ones: influences turn sign."""
        hits_in, n_in, hits_out, n_out = self
        return Counts(n_in - hits_in, n_in, n_out - hits_out, n_out)


def memorization_counts(included: Bits, train_correct: Bits) -> Counts:
    """Counts of each training example's own prediction: int32 [N] each, in NumPy."""
    counts = _memorization_counts(included.packed, train_correct.packed)
    return Counts(*(np.asarray(count)[: included.count] for count in counts))


@jax.jit
def _memorization_counts(included: jax.Array, train_correct: jax.Array) -> Counts:
    """Counts [8·K] from packed bits uint8 [T, K]."""

    def add(sums, trial):
        inside, correct = (jnp.unpackbits(bits).astype(jnp.int32) for bits in trial)
        return jax.tree.map(jnp.add, sums, (inside, correct, inside & correct)), None

    zeros = jnp.zeros(8 * included.shape[1], jnp.int32)
    sums, _ = jax.lax.scan(add, (zeros,) * 3, (included, train_correct))
    n_in, hits, hits_in = sums
    return Counts.from_totals(hits_in, n_in, hits, included.shape[0])


@functools.partial(jax.jit, static_argnums=2)
def influence_counts(included: jax.Array, test_correct: jax.Array, trials: int) -> Counts:
    """Counts, hits [R, E] and n [R, 1], from words of trials uint32 [W, R] and [W, E].

    `bits.words_of` turns stored bits into words; trials is how many of theirs are real.
    """
    hits_in = count_both(included, test_correct)
    hits, n_in = (
        jax.lax.population_count(words).sum(axis=0, dtype=jnp.int32)
        for words in (test_correct, included)
    )
    return Counts.from_totals(hits_in, n_in[:, None], hits[None, :], trials)


def influence_blocks(
    included: Words, test_correct: Words, train_rows: np.ndarray, test_rows: np.ndarray
) -> Iterator[tuple[np.ndarray, Counts]]:
    """INFLUENCE_ROWS training rows at a time, int64 [R], and their counts on test rows.

    Counts are NumPy's, hits int32 [R, number of test rows] and n int32 [R, 1]. At least one
    block comes, of no rows where none are asked for.
    """
    filled = _fill(test_correct.words[:, test_rows])
    for start in range(0, max(train_rows.size, 1), INFLUENCE_ROWS):
        rows = train_rows[start : start + INFLUENCE_ROWS]
        counts = influence_counts(_fill(included.words[:, rows]), filled, included.trials)
        real = (np.asarray(count)[: rows.size, : test_rows.size] for count in counts)
        yield rows, Counts(*real)


def _fill(words: np.ndarray) -> np.ndarray:
    """Words with columns of zeros up to a multiple of EXAMPLES: few shapes to compile."""
    return np.pad(words, ((0, 0), (0, -words.shape[1] % EXAMPLES)))


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
