"""The training examples, a block of rows on each device at a time."""

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
    """D blocks of training examples, one on each device; rows that fill up are never in."""

    first: int  # row in train of the first
    real: int  # how many do not fill up
    words: jax.Array  # uint32 [D, W, ROWS]
    n_in: jax.Array  # int32 [D, ROWS], how many trials included the example

    @property
    def number(self) -> np.int32:
        """The number of the first block."""
        return np.int32(self.first // ROWS)

    def by_row(self) -> np.ndarray:
        """The words of each row together, in NumPy: uint32 [D · ROWS, W]."""
        words = np.asarray(self.words)
        return words.transpose(0, 2, 1).reshape(-1, words.shape[1])

    def inclusions(self) -> np.ndarray:
        """n_in in NumPy: int64 [D · ROWS]."""
        return np.asarray(self.n_in).reshape(-1).astype(np.int64)


def row_blocks(included: Bits, chunk: int, mesh: Mesh) -> Iterator[Rows]:
    """All rows, mesh.size blocks at a time.

    The words of `chunk` rows, a multiple of mesh.size · ROWS, are computed at a time.
    """
    split = NamedSharding(mesh, PartitionSpec(AXIS))
    size = mesh.size * ROWS
    for start in range(0, included.count, chunk):
        words = words_of(included.part(start, start + chunk))
        if fill := -words.shape[1] % size:
            words = np.pad(words, ((0, 0), (0, fill)))
        stop = min(start + chunk, included.count)
        for first in range(start, stop, size):
            step = words[:, first - start :][:, :size].reshape(-1, mesh.size, ROWS)
            step = np.ascontiguousarray(step.transpose(1, 0, 2))
            n_in = np.bitwise_count(step).sum(axis=1, dtype=np.int32)
            placed = jax.device_put((step, n_in), split)
            yield Rows(first, min(size, included.count - first), *placed)


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
