"""The training examples, some blocks of rows on each device at a time."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem._shared.devices import AXIS
from jaxmem.estimates.bits import Bits, words_of

ROWS = 256  # of a block, and of a tile


class Rows(NamedTuple):
    """Training examples, R = some blocks on each device; what fills up is never in."""

    first: int  # row in train of the first
    real: int  # how many do not fill up
    words: np.ndarray  # uint32 [D, W, R]
    n_in: np.ndarray  # int32 [D, R], how many trials included the example
    placed: tuple[jax.Array, jax.Array]  # words and n_in, each device's on it

    @property
    def number(self) -> np.int32:
        """The number of the first block."""
        return np.int32(self.first // ROWS)

    def by_row(self) -> np.ndarray:
        """The words of each row together: uint32 [D · R, W]."""
        return self.words.transpose(0, 2, 1).reshape(-1, self.words.shape[1])

    def inclusions(self) -> np.ndarray:
        """n_in of each row: int64 [D · R]."""
        return self.n_in.reshape(-1).astype(np.int64)


def row_blocks(included: Bits, chunk: int, mesh: Mesh, blocks: int = 1) -> Iterator[Rows]:
    """All rows, so many blocks on each device at a time.

    The words of `chunk` rows, a multiple of such a step's, are computed at a time.
    """
    split = NamedSharding(mesh, PartitionSpec(AXIS))
    size = mesh.size * blocks * ROWS
    for start in range(0, included.count, chunk):
        words = words_of(included.part(start, start + chunk))
        if fill := -words.shape[1] % size:
            words = np.pad(words, ((0, 0), (0, fill)))
        stop = min(start + chunk, included.count)
        for first in range(start, stop, size):
            step = words[:, first - start :][:, :size].reshape(len(words), mesh.size, -1)
            step = np.ascontiguousarray(step.transpose(1, 0, 2))
            n_in = np.bitwise_count(step).sum(axis=1, dtype=np.int32)
            placed = jax.device_put((step, n_in), split)
            yield Rows(first, min(size, included.count - first), step, n_in, placed)


def chosen_blocks(
    included: Bits, numbers: Iterable[int], chunk: int
) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, words uint32 [W, ROWS]) of the blocks of these numbers, which ascend."""
    for start, group in itertools.groupby(
        numbers, lambda number: number * ROWS // chunk * chunk
    ):
        words = words_of(included.part(start, start + chunk))
        for number in group:
            yield number * ROWS, words[:, number * ROWS - start :][:, :ROWS]
