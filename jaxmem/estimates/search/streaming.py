"""The search: all rows against all columns, step by step."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxmem._shared.devices import everywhere, make_mesh
from jaxmem._shared.progress import progress
from jaxmem.errors import InputError
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.counts import Counts
from jaxmem.estimates.pairs import joined
from jaxmem.estimates.parts import Part
from jaxmem.estimates.search.best import Best, Ranking, best_of_columns, best_of_rows
from jaxmem.estimates.search.columns import COLUMNS, Columns
from jaxmem.estimates.search.memory import MEMORY, allot
from jaxmem.estimates.search.pairs_above import PairsAbove, Threshold
from jaxmem.estimates.search.rows import Rows, row_blocks
from jaxmem.estimates.search.tiles import (
    MOST_TRIALS,
    By,
    compile_search,
    grain,
    no_peaks,
)


class Found(NamedTuple):
    """What a search found."""

    rows: np.ndarray  # int64 [P], of pairs at or above the threshold, ascending
    columns: np.ndarray  # int64 [P], ascending within a row
    counts: Counts  # int64 [P] each, of those pairs
    of_rows: Best  # [N, top]
    of_columns: Best  # [E, top]


def search(
    included: Bits,
    test_correct: Bits,
    threshold: float | None = None,
    top: int = 0,
    by: By = "infl",
    memory: float = MEMORY,
) -> Found:
    """Pairs with infl >= threshold, and the `top` highest of each row and each column.

    Rows without an estimate, never in or never out, take no part. Thresholds are exact;
    ranks among influences that differ by less than float32 shows are arbitrary.

    Args:
        included: which of N training examples (rows) each trial saw.
        test_correct: which of E test examples (columns) each trial classified correctly.
        threshold: the least infl of a pair; None: no pairs.
        top: how many of the highest of each row and each column.
        by: "z" has the threshold on `statistics.z_score` instead, and no top.
        memory: GiB for the bits, the results and all that lies between.

    Raises:
        InputError: if the numbers of trials differ or exceed MOST_TRIALS, or if memory is
            too small for one tile.
        TooManyPairs: if memory is too small for the pairs that reach the threshold.
    """
    _check(included.trials, test_correct.trials)
    if top and by != "infl":
        raise InputError("the top are by infl alone")
    trials, step = included.trials, grain()
    devices, chunk, most = allot(
        memory, included.count, test_correct.count, trials, top, step
    )
    mesh = make_mesh(devices)
    columns = Columns.of(test_correct)
    placed = everywhere((columns.tiles, columns.groups), mesh)
    peaks = no_peaks(mesh, top, len(columns.tiles.hits))
    program = compile_search(mesh, trials, top, by, step)
    reached = Threshold(np.inf if threshold is None else threshold, by)
    least = None if threshold is None else reached.least
    pairs = PairsAbove(reached, columns, trials, most)
    of_rows = Ranking(included.count, top)

    def look(rows: Rows, best, reach) -> None:
        if reach is not None:
            pairs.add(rows, np.asarray(reach))
        if best is not None:
            lines = slice(rows.first, rows.first + rows.real)
            best = tuple(map(np.asarray, best))
            of_rows.put(lines, *best_of_rows(rows, best, columns, trials))

    waiting = None  # a step's results, which we look at while the device is at the next
    with progress("searching", included.count, "training examples") as bar:
        for rows in row_blocks(included, chunk, mesh, step.blocks):
            best, reach, peaks = program(*rows.placed, rows.number, least, peaks, *placed)
            if waiting is not None:
                look(*waiting)
            waiting = rows, best, reach
            bar.update(rows.real)
        if waiting is not None:
            look(*waiting)
    together = max(COLUMNS, step.ranked)
    of_columns = best_of_columns(included, columns, peaks, top, chunk, together)
    return Found(*pairs.found(), of_rows.best, of_columns)


def _check(trials: int, outcomes: int) -> None:
    """Raise InputError unless masks of `trials` and outcomes can be searched."""
    if outcomes != trials:
        raise InputError(
            f"masks of {trials} trials and outcomes of {outcomes} do not match"
        )
    if not 0 < trials <= MOST_TRIALS:
        raise InputError(f"{trials} trials are outside 1 … {MOST_TRIALS:,}")


def search_parts(
    included: Bits,
    test_correct: Bits,
    parts: Sequence[Part],
    threshold: float | None = None,
    top: int = 0,
    memory: float = MEMORY,
) -> Found:
    """`search` of parts alone, which must share no columns."""
    of_rows = Ranking(included.count, top)
    of_columns = Ranking(test_correct.count, top)
    pairs = []
    parts = [part for part in parts if part.train.size and part.test.size]
    with progress("searching", len(parts), "parts") as bar:
        for rows, columns in parts:
            found = search(
                included.columns(rows),
                test_correct.columns(columns),
                threshold,
                top,
                memory=memory,
            )
            pairs.append((rows[found.rows], columns[found.columns], *found.counts))
            of_rows.merge(rows, columns[found.of_rows.index], found.of_rows.infl)
            of_columns.put(columns, rows[found.of_columns.index], found.of_columns.infl)
            bar.update()
    row, column, counts = joined(pairs)
    order = np.lexsort((column, row))
    counts = Counts(*(count[order] for count in counts))
    return Found(row[order], column[order], counts, of_rows.best, of_columns.best)
