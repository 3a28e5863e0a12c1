"""The pairs that reach a threshold, gathered step by step."""

from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.estimates.counts import Counts, rate_difference
from jaxmem.estimates.pairs import joined
from jaxmem.estimates.search.columns import GROUP, Columns, column_number
from jaxmem.estimates.search.rows import ROWS, Rows
from jaxmem.estimates.search.tiles import By
from jaxmem.estimates.statistics import z_score

SLACK = 1e-6  # relative, of float32 values: the threshold itself is applied in float64
GROUPS_AT_A_TIME = 1024  # that are counted again: bounds the memory that this takes


class TooManyPairs(InputError):
    """More pairs reach the threshold than memory holds."""


class Threshold(NamedTuple):
    """The least influence, or the least z, of a pair."""

    value: float
    by: By = "infl"

    def reached(self, counts: Counts) -> np.ndarray:
        """Which pairs reach it, exactly: bool of the counts' shape."""
        statistic = rate_difference if self.by == "infl" else z_score
        return statistic(counts) >= self.value

    @property
    def least(self) -> np.float32:
        """The least float32 maximum that may be one of a pair that reaches it."""
        return np.float32(self.value - SLACK * max(1, abs(self.value)))


class PairsAbove:
    """Gathers pairs, up to as many as memory holds; rows must come in ascending order."""

    def __init__(self, threshold: Threshold, columns: Columns, trials: int, most: int):
        self._threshold, self._most = threshold, most
        self._columns, self._trials = columns, trials
        self._found: list[tuple] = []

    def add(self, rows: Rows, reach: np.ndarray) -> None:
        """Look into the groups of a step, packed uint8 [D, R, G / 8], that may hold one.

        Raises TooManyPairs where memory does not hold what was found.
        """
        reach = reach.reshape(-1, reach.shape[-1])
        if not reach.any():
            return
        words, n_in = rows.by_row(), rows.inclusions()
        # Some rows at a time: what is found must not outgrow memory before it is counted.
        for first in range(0, len(reach), ROWS):
            self._look(rows.first, first, reach[first : first + ROWS], words, n_in)

    def _look(self, start_of_step: int, first: int, reach, words, n_in) -> None:
        """Into the groups of a step's rows from `first` on; words and n_in of the step."""
        row, byte = np.nonzero(reach)
        which, bit = np.nonzero(np.unpackbits(reach[row, byte][:, None], axis=1))
        row, group = first + row[which], 8 * byte[which] + bit
        for start in range(0, row.size, GROUPS_AT_A_TIME):
            r, g = (x[start : start + GROUPS_AT_A_TIME] for x in (row, group))
            # Not on the device, which is at the next step.
            both = words[r, :, None] & self._columns.groups.words[g]
            hits_in = np.bitwise_count(both).sum(axis=1, dtype=np.int64).reshape(-1)
            column = column_number(g[:, None], np.arange(GROUP)).reshape(-1)
            r = np.repeat(r, GROUP)
            self._keep(start_of_step + r, column, hits_in, n_in[r])

    def _keep(self, row, column, hits_in, n_in) -> None:
        real = column < self._columns.count
        row, column, hits_in, n_in = (x[real] for x in (row, column, hits_in, n_in))
        hits = self._columns.hits[column]
        counts = Counts.from_totals(hits_in, n_in, hits, self._trials)
        reached = self._threshold.reached(counts)
        self._most -= int(reached.sum())
        if self._most < 0:
            raise TooManyPairs(
                f"more pairs reach the threshold {self._threshold.value:g} than memory "
                "holds; take a higher one, or more memory"
            )
        self._found.append(tuple(x[reached] for x in (row, column, *counts)))

    def found(self) -> tuple[np.ndarray, np.ndarray, Counts]:
        """Rows and columns, int64 [P] in ascending order, and counts, int64 [P] each."""
        return joined(self._found)
