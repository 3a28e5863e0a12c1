"""Rows in order, cut into pieces of one size, to be looked at one after another."""

from typing import NamedTuple

import numpy as np


class Pieces(NamedTuple):
    """Of R rows. The last piece overlaps the one before it, so that all have one shape."""

    size: int
    start: np.ndarray  # int32 [P]: the first row of each
    fresh: np.ndarray  # int32 [P]: the first row of each that no earlier one has

    @property
    def overlap(self) -> int:
        """How many rows of the last piece an earlier one has too."""
        return int(self.fresh[-1] - self.start[-1])


def cut(rows: int, size: int) -> Pieces:
    """R rows in pieces of so many, or of all where there are fewer."""
    size = min(size, rows)
    fresh = np.arange(0, rows, size, dtype=np.int32)
    return Pieces(size, np.minimum(fresh, rows - size), fresh)
