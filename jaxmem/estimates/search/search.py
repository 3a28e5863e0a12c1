"""Search all N x E influences without ever holding them.

Of a tile (`jaxmem.tiles`) only the maxima of 16 columns, and of its 256 rows, are looked
at. A pair above a threshold, or among the k highest of its row or column, lies in a group
or a block whose maximum is: only those are counted again, one by one.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem._shared.arguments import positive
from jaxmem._shared.devices import AXIS, everywhere, make_mesh
from jaxmem._shared.progress import progress
from jaxmem.errors import InputError
from jaxmem.estimates.bits import TRIALS, words_of
from jaxmem.estimates.counts import Counts, rate_difference
from jaxmem.estimates.search.tiles import (
    COLUMNS,
    GROUP,
    LOWEST,
    ROWS,
    Columns,
    Peaks,
    best_of_columns,
    compile_search,
    make_columns,
    row_blocks,
)
from jaxmem.estimates.statistics import z_score

MEMORY = 4.0  # GiB
MOST_ROWS = 65_536  # training examples whose words are made at a time, at most
# Products of counts wrap around in int32; their difference, T² / 4 at most, must not.
MOST_TRIALS = 92_681
PAIR_BYTES = 160  # of a pair that was found, while all are put in order
SLACK = 1e-6  # relative, of float32 values: the threshold itself is applied in float64
By = Literal["infl", "z"]


class TooManyPairs(InputError):
    """More pairs reach the threshold than memory holds."""


class Best(NamedTuple):
    """The k highest influences of every row, or of every column, the highest first."""

    index: np.ndarray  # int64 [R, k], columns of a row or rows of a column; -1: no more
    infl: np.ndarray  # float64 [R, k]; NaN where there is none

    @classmethod
    def none(cls, size: int, k: int) -> "Best":
        """Nothing yet."""
        return cls(np.full((size, k), -1), np.full((size, k), np.nan))

    def put(self, where, index: np.ndarray, infl: np.ndarray) -> None:
        """Set rows to what was found, [R', up to k]; values not finite are none."""
        known, k = np.isfinite(infl), infl.shape[1]
        self.index[where, :k] = np.where(known, index, -1)
        self.infl[where, :k] = np.where(known, infl, np.nan)


class Found(NamedTuple):
    """What a search found."""

    rows: np.ndarray  # int64 [P], of pairs at or above the threshold, in order
    columns: np.ndarray  # int64 [P]
    counts: Counts  # int64 [P] each, of those pairs
    of_rows: Best  # [N, top]
    of_columns: Best  # [E, top]


def search(
    included: np.ndarray,
    n: int,
    test_correct: np.ndarray,
    e: int,
    threshold: float | None = None,
    top: int = 0,
    by: By = "infl",
    memory: float = MEMORY,
) -> Found:
    """Pairs with infl >= threshold, and the `top` highest of each row and each column.

    included: bits uint8 [T, ceil(n / 8)]; test_correct: bits uint8 [T, ceil(e / 8)].
    by="z" has the threshold on `statistics.z_score` instead, and no top. memory: GiB for
    the bits, the results and all that lies between. Rows without an estimate, never in or
    never out, take no part. Thresholds are exact; ranks among influences that differ by
    less than float32 shows are arbitrary. Raises InputError if T differ or exceed 92,681,
    or if memory is too small for one tile or for the pairs that reach the threshold.
    """
    trials = len(included)
    if len(test_correct) != trials:
        raise InputError(
            f"masks of {trials} trials and outcomes of {len(test_correct)} do not match"
        )
    if not 0 < trials <= MOST_TRIALS:
        raise InputError(f"{trials} trials are outside 1 … {MOST_TRIALS:,}")
    if top and by != "infl":
        raise InputError("the top are by infl alone")
    mesh, chunk, most_pairs = _allot(memory, n, e, trials, top)
    columns = make_columns(test_correct, e)
    hits = columns.hits.reshape(-1)
    placed = everywhere(columns, mesh)
    program = compile_search(mesh, trials, top, threshold is not None, by)
    peaks = jax.device_put(
        Peaks(
            np.full((mesh.size, top, hits.size), -np.inf, np.float32),
            np.full((mesh.size, top, hits.size), -1, np.int32),
        ),
        NamedSharding(mesh, PartitionSpec(AXIS)),
    )
    pairs = _Pairs(trials, columns, hits, e, threshold, by, most_pairs)
    of_rows = Best.none(n, top)

    def fetch(first, words, n_in, best, groups):
        if groups is not None:
            pairs.add(first, words, n_in, groups)
        if best is not None:
            rows = slice(first, min(first + n_in.size, n))
            _put_rows(of_rows, rows, best, n_in, hits, trials, e)

    pending = None
    with progress("searching", n, "training examples") as bar:
        for first, words, n_in in row_blocks(included, n, chunk, mesh):
            best, groups, peaks = program(
                words, n_in, np.int32(first // ROWS), peaks, placed
            )
            if pending is not None:
                fetch(*pending)
            pending = first, words, n_in, best, groups
            bar.update(min(n_in.size, n - first))
        fetch(*pending)
    of_columns = Best.none(e, top)
    if top:
        _put_columns(of_columns, included, n, chunk, peaks, columns, hits)
    return Found(*pairs.all(), of_rows, of_columns)


def search_parts(
    included: np.ndarray,
    test_correct: np.ndarray,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    n: int,
    e: int,
    threshold: float | None,
    top: int,
    memory: float,
) -> Found:
    """`search` of (rows, columns), int64 each, that share neither rows nor columns."""
    of_rows, of_columns = Best.none(n, top), Best.none(e, top)
    pairs = [(np.zeros(0, np.int64),) * 6]
    with progress("searching", len(parts), "parts") as bar:
        for rows, columns in parts:
            found = search(
                _pick(included, rows),
                rows.size,
                _pick(test_correct, columns),
                columns.size,
                threshold,
                top,
                memory=memory,
            )
            pairs.append((rows[found.rows], columns[found.columns], *found.counts))
            of_rows.put(rows, columns[found.of_rows.index], found.of_rows.infl)
            of_columns.put(columns, rows[found.of_columns.index], found.of_columns.infl)
            bar.update()
    r, c, *counts = (np.concatenate(part) for part in zip(*pairs, strict=True))
    order = np.lexsort((c, r))
    return Found(
        r[order], c[order], Counts(*(x[order] for x in counts)), of_rows, of_columns
    )


def _pick(bits: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Packed bits of some columns of packed bits."""
    shifts = (7 - columns % 8).astype(np.uint8)
    return np.packbits(bits[:, columns // 8] >> shifts & 1, axis=1)


def _allot(memory: float, n: int, e: int, trials: int, top: int) -> tuple[Mesh, int, int]:
    """The devices, the training examples whose words are made at a time, and most pairs.

    As many devices as memory allows: each has tiles and peaks of its own.
    """
    memory = positive("memory", memory)
    words = -(-trials // TRIALS) * TRIALS // 8  # bytes of an example
    columns = -(-e // COLUMNS) * COLUMNS
    each = 4 * words  # bits, words on the device, in NumPy and cut into blocks
    devices = len(jax.local_devices())
    while True:
        step = devices * ROWS
        need = trials * (n + e) / 8  # the bits
        copies = 1 if jax.default_backend() == "cpu" else devices
        need += 2 * words * columns * (copies + 1)  # the columns in two orders
        # maxima of two steps, also in the tiles' order
        need += 4 * step * columns // GROUP * 4
        need += 16 * top * (n + e + 2 * devices * columns)  # results, peaks
        left = memory * 2**30 - need
        if left >= 2 * each * step:
            chunk = max(step, min(MOST_ROWS, int(left / 2 / each)) // step * step)
            return make_mesh(devices), chunk, int(left / 2 / PAIR_BYTES)
        if devices == 1:
            break
        devices //= 2
    least = (need + 2 * each * step) / 2**30
    raise InputError(
        f"{memory:g} GiB of memory are too small for a tile of {n:,} x {e:,} pairs and "
        f"{trials:,} trials; {np.ceil(100 * least) / 100:g} are enough"
    )


class _Pairs:
    """Gathers the pairs above a threshold."""

    def __init__(self, trials, columns: Columns, hits, e, threshold, by: By, most: int):
        self._statistic = rate_difference if by == "infl" else z_score
        self._trials, self._e, self._threshold = trials, e, threshold
        self._columns, self._hits = columns, hits
        self._most, self._found = most, []

    def add(self, first: int, words, n_in, groups) -> None:
        """Look into the groups [D, ROWS, G] of a step that reach the threshold."""
        groups = np.asarray(groups).reshape(-1, groups.shape[-1])
        reach = groups >= np.float32(self._threshold - SLACK * max(1, abs(self._threshold)))
        if not reach.any():
            return
        row, group = np.nonzero(reach)
        n_in = np.asarray(n_in).reshape(-1)
        by_row = np.asarray(words).transpose(0, 2, 1).reshape(n_in.size, -1)
        for some in range(0, len(row), 1024):
            r, g = row[some : some + 1024], group[some : some + 1024]
            # Not on the device, which is at the next step.
            both = by_row[r, :, None] & self._columns.groups[g]
            hits_in = np.bitwise_count(both).sum(axis=1, dtype=np.int64).reshape(-1)
            column = (g[:, None] * GROUP + np.arange(GROUP)).reshape(-1)
            r = np.repeat(r, GROUP)
            self._keep(first + r, column, n_in[r].astype(np.int64), hits_in)

    def _keep(self, row, column, n_in, hits_in) -> None:
        real = column < self._e
        row, column, n_in, hits_in = (a[real] for a in (row, column, n_in, hits_in))
        counts = _counts(hits_in, n_in, self._hits[column], self._trials)
        keep = self._statistic(counts) >= self._threshold
        self._most -= int(keep.sum())
        if self._most < 0:
            raise TooManyPairs(
                f"more pairs reach the threshold {self._threshold:g} than memory holds; "
                "take a higher one, or more memory"
            )
        self._found.append([a[keep] for a in (row, column, *counts)])

    def all(self) -> tuple[np.ndarray, np.ndarray, Counts]:
        """Rows, columns and counts of what was found, in order."""
        none = [np.zeros(0, np.int64)] * 6
        parts = zip(*[none, *self._found], strict=True)
        rows, columns, *counts = (np.concatenate(part) for part in parts)
        order = np.lexsort((columns, rows))
        return rows[order], columns[order], Counts(*(c[order] for c in counts))


def _counts(hits_in, n_in, hits, trials: int) -> Counts:
    return Counts(hits_in, n_in, hits - hits_in, trials - n_in)


def _put_rows(of_rows: Best, rows: slice, best, n_in, hits, trials: int, e: int) -> None:
    """Put a step's highest of each row among the results."""
    size = rows.stop - rows.start
    column, hits_in = (np.asarray(x).reshape(-1, x.shape[-1])[:size] for x in best)
    n_in = np.asarray(n_in).reshape(-1)[:size, None].astype(np.int64)
    real = column < e
    counts = _counts(hits_in.astype(np.int64), n_in, hits[column] * real, trials)
    of_rows.put(rows, column, np.where(real, rate_difference(counts), np.nan))


def _put_columns(
    of_columns: Best, included, n: int, chunk: int, peaks, columns: Columns, hits
) -> None:
    """Count again the blocks that may hold a column's highest."""
    e, top = of_columns.index.shape
    trials = len(included)
    tiles, runs = columns.tiles.shape[0], COLUMNS // GROUP

    def natural(x):  # [D, k, columns in the tiles' order] -> [D * k, E]
        x = np.asarray(x).reshape(-1, tiles, GROUP, runs).transpose(0, 1, 3, 2)
        return x.reshape(len(x), -1)[:, :e]

    maxima, blocks = natural(peaks.infl), natural(peaks.block)
    order = np.argsort(-maxima, axis=0, kind="stable")[:top]
    maxima, blocks = (np.take_along_axis(x, order, 0) for x in (maxima, blocks))
    # In the order of blocks: of each, the columns that want it.
    _, wanting = wanted = np.nonzero(maxima > -LOWEST)
    block = blocks[wanted]
    by_block = np.argsort(block, kind="stable")
    numbers, starts = np.unique(block[by_block], return_index=True)
    words = columns.groups.transpose(1, 0, 2).reshape(columns.tiles.shape[1], -1)
    made, held = None, None
    with progress("searching columns", numbers.size, "blocks") as bar:
        for number, some in zip(
            numbers, np.split(wanting[by_block], starts[1:]), strict=True
        ):
            first = number * ROWS
            if first // chunk != made:
                made = first // chunk
                part = included[:, made * chunk // 8 : (made + 1) * chunk // 8]
                held = words_of(part)
            a = held[:, first - made * chunk :][:, : min(ROWS, n - first)]
            a = np.pad(a, ((0, 0), (0, ROWS - a.shape[1])))
            n_in = np.bitwise_count(a).sum(axis=0, dtype=np.int32)
            for who in np.split(some, range(COLUMNS, some.size, COLUMNS)):
                fill = 0, COLUMNS - who.size
                b, right = np.pad(words[:, who], ((0, 0), fill)), np.pad(hits[who], fill)
                best = best_of_columns(a, b, n_in, right, trials, top)
                row, hits_in = (np.asarray(x)[: who.size] for x in best)
                inside, right = n_in[row].astype(np.int64), hits[who, None]
                counts = _counts(hits_in.astype(np.int64), inside, right, trials)
                _merge(of_columns, who, first + row, rate_difference(counts))
            bar.update()


def _merge(best: Best, who: np.ndarray, row: np.ndarray, value: np.ndarray) -> None:
    """Put influences [who, K] of rows [who, K] among the highest so far of the columns."""
    value = np.concatenate([best.infl[who], value], axis=1)
    row = np.concatenate([best.index[who], row], axis=1)
    value = np.where(np.isnan(value), -np.inf, value)
    order = np.argsort(-value, axis=1, kind="stable")[:, : best.index.shape[1]]
    best.put(who, np.take_along_axis(row, order, 1), np.take_along_axis(value, order, 1))
