"""The test examples as columns of tiles, and the order in which they lie there.

Nothing else knows that order. Columns c · COLUMNS … of the matrix are tile c, and of these,
GROUP neighbours are a group. A tile has the first column of every group, then the second of
every group, and so on: the maxima of all groups are then maxima of GROUP slices, which
vectorise, instead of maxima inside a vector.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem._shared.devices import Array
from jaxmem.estimates.bits import EXAMPLES, Bits, words_of

COLUMNS = EXAMPLES  # of a tile: words come filled up to a multiple of this
GROUP = 16  # columns whose maximum leaves the tile: a cache line of words
GROUPS = COLUMNS // GROUP  # of a tile
MOST_HITS = 2**31 - 1  # times trials, in int32


class Tiles(NamedTuple):
    """Columns in the order of tiles."""

    words: Array  # uint32 [C, W, COLUMNS]
    hits: Array  # int32 [C, COLUMNS], how many trials are correct
    scale: Array  # float32 [C, COLUMNS], the column's factor in z


class Groups(NamedTuple):
    """The same columns, a group after another; G = C · GROUPS."""

    words: Array  # uint32 [G, W, GROUP]
    hits: Array  # int32 [G, GROUP]


class Columns(NamedTuple):
    """The test examples, in NumPy, filled up to whole tiles.

    Columns that only fill a tile have a lower influence than any real one.
    """

    tiles: Tiles
    groups: Groups
    count: int  # type: ignore[assignment]  # real columns; hides tuple.count

    @classmethod
    def of(cls, test_correct: Bits) -> "Columns":
        """The columns of the bits of E test examples."""
        trials, count = test_correct.trials, test_correct.count
        words = words_of(test_correct)
        hits = np.bitwise_count(words).sum(axis=0, dtype=np.int32)
        with np.errstate(divide="ignore"):
            scale = 1 / np.sqrt(hits * (1 - hits / trials))
        scale = np.where(np.isfinite(scale), scale, 0).astype(np.float32)
        # To be out of reach, what fills a tile counts as always correct though it is never
        # set; with very many trials, as correct as often as int32 allows.
        hits[count:], scale[count:] = min(trials, MOST_HITS // trials), 1
        grouped = words.reshape(len(words), -1, GROUP).transpose(1, 0, 2)
        return cls(
            Tiles(
                _tiled(words.reshape(len(words), -1, COLUMNS).transpose(1, 0, 2)),
                _tiled(hits.reshape(-1, COLUMNS)),
                _tiled(scale.reshape(-1, COLUMNS)),
            ),
            Groups(np.ascontiguousarray(grouped), hits.reshape(-1, GROUP)),
            count,
        )

    @property
    def hits(self) -> np.ndarray:
        """How many trials are correct, in the matrix's order: int32 [C · COLUMNS]."""
        return np.asarray(self.groups.hits).reshape(-1)

    def in_order(self, values: np.ndarray) -> np.ndarray:
        """Values [K, C · COLUMNS] of columns as tiles have them, as the matrix has them.

        Returns [K, count]: without the columns that fill the last tile.
        """
        by_place = values.reshape(len(values), -1, GROUP, GROUPS)
        return by_place.swapaxes(2, 3).reshape(len(values), -1)[:, : self.count]

    def words_of(self, columns: np.ndarray) -> np.ndarray:
        """The words of columns, int [R], of the matrix: uint32 [W, R]."""
        return np.asarray(self.groups.words)[columns // GROUP, :, columns % GROUP].T


def _tiled(values: np.ndarray) -> np.ndarray:
    """Values [..., COLUMNS] of a tile in the matrix's order, in the tile's own."""
    by_group = values.reshape(*values.shape[:-1], GROUPS, GROUP)
    return by_group.swapaxes(-1, -2).reshape(values.shape)


def group_maxima(tile: jax.Array) -> jax.Array:
    """Of values [R, COLUMNS] of a tile, the maximum of each group: [R, GROUPS]."""
    return functools.reduce(jnp.maximum, jnp.split(tile, GROUP, axis=1))


def column_number(group, place):
    """The matrix's column at a place, 0 … GROUP - 1, of a group; arrays broadcast."""
    return group * GROUP + place
