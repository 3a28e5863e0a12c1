"""The k highest influences of each row, and of each column."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxmem._shared.progress import progress
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.counts import Counts, rate_difference
from jaxmem.estimates.search.columns import Columns
from jaxmem.estimates.search.rows import Rows, chosen_blocks
from jaxmem.estimates.search.tiles import NO_ESTIMATE, Peaks, best_of_block


class Best(NamedTuple):
    """The k highest influences of every line, a row or a column, the highest first."""

    # int64 [L, k], columns of a row or rows of a column; -1: no more
    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index
    infl: np.ndarray  # float64 [L, k]; NaN where there is none

    def negated(self) -> "Best":
        """The same places with influences of the other sign."""
        return Best(self.index, -self.infl)


class Ranking:
    """A `Best` in the making: lines are filled, and improved, in place.

    In place because all of it can be gigabytes, of which a step changes little.
    """

    def __init__(self, lines: int, k: int):
        self.best = Best(np.full((lines, k), -1), np.full((lines, k), np.nan))

    def put(self, lines, index: np.ndarray, infl: np.ndarray) -> None:
        """Set lines, a slice or int [R], to [R, up to k], highest first; NaN: none."""
        known, k = np.isfinite(infl), infl.shape[1]
        self.best.index[lines, :k] = np.where(known, index, -1)
        self.best.infl[lines, :k] = np.where(known, infl, np.nan)

    def merge(self, lines: np.ndarray, index: np.ndarray, infl: np.ndarray) -> None:
        """Put influences [R, any number] among the highest so far of lines int [R].

        NaN: none. Among equal ones, the earlier stays ahead.
        """
        index = np.concatenate([self.best.index[lines], index], axis=1)
        infl = np.concatenate([self.best.infl[lines], infl], axis=1)
        infl = np.where(np.isnan(infl), -np.inf, infl)
        order = np.argsort(-infl, axis=1, kind="stable")[:, : self.best.index.shape[1]]
        index, infl = (np.take_along_axis(x, order, axis=1) for x in (index, infl))
        self.put(lines, index, infl)


def best_of_rows(
    rows: Rows, best: tuple[np.ndarray, np.ndarray], columns: Columns, trials: int
) -> tuple[np.ndarray, np.ndarray]:
    """(column, infl) [rows.real, k] of a step's rows, from (column, hits_in) [D, R, k].

    infl is float64, and NaN at columns that only fill a tile.
    """
    column, hits_in = (x.reshape(-1, x.shape[-1])[: rows.real] for x in best)
    n_in = rows.inclusions()[: rows.real, None]
    real = column < columns.count
    # Without hits, what only fills a tile divides 0 by 0 at worst.
    hits = columns.hits[column] * real
    counts = Counts.from_totals(hits_in.astype(np.int64), n_in, hits, trials)
    return column, np.where(real, rate_difference(counts), np.nan)


def best_of_columns(
    included: Bits, columns: Columns, peaks: Peaks, top: int, chunk: int, together: int
) -> Best:
    """The `top` highest of each column, from the blocks of rows that peaks name.

    A column's k highest lie in the k blocks with its highest maxima: those are counted
    again, `chunk` rows' words at a time, each for the columns that name it, `together` at
    a time.
    """
    ranking = Ranking(columns.count, top)
    if not top:
        return ranking.best
    numbers, naming = _blocks_of_columns(columns, peaks, top)
    blocks = chosen_blocks(included, numbers, chunk)
    with progress("searching columns", len(numbers), "blocks") as bar:
        for (first, rows), candidates in zip(blocks, naming, strict=True):
            for column, row, infl in _best_in_block(
                rows, candidates, columns, included.trials, top, together
            ):
                ranking.merge(column, first + row, infl)
            bar.update()
    return ranking.best


def _blocks_of_columns(
    columns: Columns, peaks: Peaks, top: int
) -> tuple[list[int], list[np.ndarray]]:
    """Which blocks may hold a column's highest, ascending; and for each, those columns."""
    # Of all devices, [D * top, E]; then the highest `top` of these.
    maxima, blocks = (
        columns.in_order(np.asarray(x).reshape(-1, x.shape[-1])) for x in peaks
    )
    order = np.argsort(-maxima, axis=0, kind="stable")[:top]
    maxima, blocks = (np.take_along_axis(x, order, axis=0) for x in (maxima, blocks))
    known = np.nonzero(maxima > NO_ESTIMATE)
    block, column = blocks[known], known[1]
    by_block = np.argsort(block, kind="stable")
    numbers, starts = np.unique(block[by_block], return_index=True)
    return numbers.tolist(), np.split(column[by_block], starts)[1:]


def _best_in_block(
    rows: np.ndarray,
    candidates: np.ndarray,
    columns: Columns,
    trials: int,
    top: int,
    together: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(columns [R], rows of the block [R, k], infl float64 [R, k]), `together` at a time.

    rows: words [W, ROWS] of the block; candidates: the columns that are asked for.
    """
    n_in = np.bitwise_count(rows).sum(axis=0, dtype=np.int32)
    for start in range(0, candidates.size, together):
        column = candidates[start : start + together]
        fill = 0, together - column.size  # one shape to compile
        words = np.pad(columns.words_of(column), ((0, 0), fill))
        hits = columns.hits[column]
        best = best_of_block(rows, words, n_in, np.pad(hits, fill), trials, top)
        row, hits_in = (np.asarray(x)[: column.size].astype(np.int64) for x in best)
        counts = Counts.from_totals(hits_in, n_in[row].astype(int), hits[:, None], trials)
        yield column, row, rate_difference(counts)
