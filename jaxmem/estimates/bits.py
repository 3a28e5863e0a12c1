"""Bits of trials, and counting over them: in how many trials are both bits set?

Stored bits lie along examples, a row a trial. A product over trials wants them the other
way round: words of 32 trials, a column an example. On CPUs the product is AND and popcount;
on GPUs and TPUs bfloat16 products on the matrix units. Both are exact.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem._shared.platforms import by_platform

# Words summed per loop step; LLVM vectorises 16, but not 8: 0.9 against 0.19 Top/s on two
# cores (a tile of 512 x 2048).
STEP = 16
TRIALS = 32 * STEP  # trials are filled up to a multiple of this with zeros
EXAMPLES = 256  # and examples of this, so that few shapes are compiled
UNPACKED = 2**22  # bits that lie unpacked at a time, a byte each, while some are chosen


class Bits(NamedTuple):
    """One bit for every trial and example: a bool [T, count] in an eighth of its memory.

    The bits beyond count, in the last byte of a row, are 0: every method keeps that.
    """

    packed: np.ndarray  # uint8 [T, ceil(count / 8)], the first example is the highest bit
    count: int  # type: ignore[assignment]  # examples; hides tuple.count

    @classmethod
    def of(cls, mask: np.ndarray) -> "Bits":
        """The bits of bool [T, count]."""
        return cls(np.packbits(mask, axis=1), mask.shape[1])

    @property
    def trials(self) -> int:
        """T, the number of rows."""
        return len(self.packed)

    def mask(self) -> np.ndarray:
        """The bits as bool [T, count]."""
        return np.unpackbits(self.packed, axis=1, count=self.count).view(bool)

    def columns(self, examples: np.ndarray) -> "Bits":
        """The bits of chosen examples, int [R] in 0 … count - 1, in their order."""
        byte, shifts = examples // 8, (7 - examples % 8).astype(np.uint8)
        packed = np.empty((self.trials, -(-examples.size // 8)), np.uint8)
        step = max(1, UNPACKED // max(1, examples.size))
        for start in range(0, self.trials, step):
            chosen = self.packed[start : start + step, byte] >> shifts & 1
            packed[start : start + step] = np.packbits(chosen, axis=1)
        return Bits(packed, examples.size)

    def part(self, start: int, stop: int) -> "Bits":
        """The examples start … stop - 1 without a copy; both multiples of 8.

        stop may lie beyond count: the part then ends there.
        """
        stop = min(stop, self.count)
        return Bits(self.packed[:, start // 8 : -(-stop // 8)], stop - start)

    def sums(self) -> np.ndarray:
        """How many examples' bits are set in each trial: int64 [T]."""
        return np.bitwise_count(self.packed).sum(axis=1, dtype=np.int64)

    def __invert__(self) -> "Bits":
        """Every bit of an example turned; those beyond count stay 0."""
        packed = ~self.packed
        if unused := -self.count % 8:
            packed[:, -1] &= np.uint8(0xFF << unused & 0xFF)
        return Bits(packed, self.count)


class Words(NamedTuple):
    """Bits turned, for products over trials; worth keeping for more than one."""

    words: np.ndarray  # uint32 [W, ≥ count], see `words_of`
    trials: int
    count: int  # type: ignore[assignment]  # examples; hides tuple.count

    @classmethod
    def of(cls, bits: Bits) -> "Words":
        """The words of bits."""
        return cls(words_of(bits), bits.trials, bits.count)


def words_of(bits: Bits) -> np.ndarray:
    """Bits as words of trials, a column an example: uint32 [W, K].

    W = STEP · ceil(T / TRIALS): bit t of word w is trial 32·w + t; trials beyond T are 0,
    and so are examples beyond count, up to a multiple K of EXAMPLES.
    """
    fill = -bits.packed.shape[1] % (EXAMPLES // 8)
    return np.asarray(_words_of(np.pad(bits.packed, ((0, 0), (0, fill)))))


@jax.jit
def _words_of(packed: jax.Array) -> jax.Array:
    rows = jnp.pad(packed, ((0, -packed.shape[0] % TRIALS), (0, 0)))
    rows = rows.reshape(-1, 32, packed.shape[1])
    shifts = jnp.arange(7, -1, -1, dtype=jnp.uint8)  # the first example is the highest bit

    def word(trials):
        out = jnp.zeros((trials.shape[1], 8), jnp.uint32)
        for t in range(32):
            bit = (trials[t][:, None] >> shifts[None, :]) & 1
            out |= bit.astype(jnp.uint32) << t
        return out.reshape(-1)

    return jax.lax.map(word, rows)


def count_both(a: jax.Array, b: jax.Array) -> jax.Array:
    """In how many trials a and b are set: words [W, R] and [W, E] to int32 [R, E]."""
    return by_platform(a, b, cpu=by_popcount, gpu=by_product, tpu=by_product)


def by_popcount(a: jax.Array, b: jax.Array, carry: bool | None = None) -> jax.Array:
    """`count_both` by AND and popcount; fastest where [R, E] int32 stays in the cache.

    carry: whether to add up bits before they are counted; None: where that is faster.
    """
    carry = not _counts_in_hardware() if carry is None else carry

    def add(step, total):
        x, y = (jax.lax.dynamic_slice_in_dim(words, step * STEP, STEP) for words in (a, b))
        both = [x[k, :, None] & y[k, None, :] for k in range(STEP)]
        if not carry:
            return total + functools.reduce(jnp.add, map(jax.lax.population_count, both))
        for k, digit in enumerate(_digits(both)):
            total += jax.lax.population_count(digit) << k
        return total

    zeros = jnp.zeros((a.shape[1], b.shape[1]), jnp.uint32)
    return jax.lax.fori_loop(0, a.shape[0] // STEP, add, zeros).astype(jnp.int32)


def _digits(words: list[jax.Array]) -> list[jax.Array]:
    """In how many words each bit is set, as binary digits, the lowest first.

    By carry-save adders (Muła, Kurz & Lemire, "Faster Population Counts Using AVX2
    Instructions", The Computer Journal 2018, arXiv 1611.07612).
    """
    digits = []
    while words:
        carries = []
        while len(words) > 1:
            x, y, *words = words
            if not words:
                words, carry = [x ^ y], x & y
            else:
                z, *words = words
                words, carry = [*words, x ^ y ^ z], (x & y) | ((x ^ y) & z)
            carries.append(carry)
        digits.append(words[0])
        words = carries
    return digits


@functools.cache
def _counts_in_hardware() -> bool:
    """Whether vectors of words have a popcount instruction; x86 before AVX-512 has not."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return True
    return "avx2" not in flags or "avx512_vpopcntdq" in flags


def by_product(
    a: jax.Array, b: jax.Array, dtype: jax.typing.DTypeLike = jnp.bfloat16
) -> jax.Array:
    """`count_both` by a product of zeros and ones of a dtype.

    Summed in float32, which holds every whole number up to 2**24 trials.
    """

    def ones(words):
        shifts = jnp.arange(32, dtype=jnp.uint32)
        bits = (words[:, None, :] >> shifts[None, :, None]) & 1
        return bits.astype(dtype).reshape(32 * words.shape[0], words.shape[1])

    contract_trials = (((0,), (0,)), ((), ()))
    counts = jax.lax.dot_general(
        ones(a), ones(b), contract_trials, preferred_element_type=jnp.float32
    )
    return counts.astype(jnp.int32)
