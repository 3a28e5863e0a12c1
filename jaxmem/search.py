"""Search all N x E influences without ever holding them.

Tiles of the product stay in the cache; what leaves a tile is the maximum of every GROUP
columns, and of all its rows. A pair above a threshold, or among the k highest of its row or
column, lies in a group or block whose maximum is: only those are counted again, one by one.
"""

import functools
from collections.abc import Iterator
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem.bits import count_both, words_of
from jaxmem.ensemble import AXIS, make_mesh
from jaxmem.errors import InputError
from jaxmem.estimators import Counts, rate_difference
from jaxmem.progress import progress
from jaxmem.statistics import z_score

ROWS, COLUMNS = 256, 256  # of a tile: its counts stay in a core's cache
GROUP = 16  # columns whose maximum leaves the tile: a cache line of words
CHUNK = 65_536  # training examples whose words are made at a time
MOST_TRIALS = 46_340  # the product of two counts of trials must fit into int32
LOWEST = 1e30  # minus this is lower than any influence
MOST_GROUPS = 20_000_000  # groups that may hold pairs above the threshold
SLACK = 1e-6  # relative, of float32 values: the threshold itself is applied in float64


class Best(NamedTuple):
    """The k highest influences of every row, or of every column, the highest first."""

    index: np.ndarray  # int64 [R, k], columns of a row or rows of a column; -1: no more
    infl: np.ndarray  # float64 [R, k]; NaN where there is none


class Found(NamedTuple):
    """What a search found."""

    rows: np.ndarray  # int64 [P], of pairs at or above the threshold, in order
    columns: np.ndarray  # int64 [P]
    counts: Counts  # int64 [P] each, of those pairs
    of_rows: Best  # [N, top]
    of_columns: Best  # [E, top]


class _Columns(NamedTuple):
    """The test examples as tiles want them. Of group g, column c is g * GROUP + c."""

    tiles: jax.Array  # uint32 [C, W, COLUMNS]: first column of each group, then second, …
    tile_hits: jax.Array  # int32 [C, COLUMNS], how many trials are right; filled up with T
    tile_scale: jax.Array  # float32 [C, COLUMNS], the column's share in z
    groups: jax.Array  # uint32 [G, W, GROUP]: the same words, a group after another
    hits: jax.Array  # int32 [G, GROUP]


class _Peaks(NamedTuple):
    """The blocks of rows with the highest maxima of each column so far, on one device."""

    infl: jax.Array  # float32 [top, C * COLUMNS]
    block: jax.Array  # int32 [top, C * COLUMNS]


def search(
    included: np.ndarray,
    n: int,
    test_correct: np.ndarray,
    e: int,
    threshold: float | None = None,
    top: int = 0,
    by: Literal["infl", "z"] = "infl",
) -> Found:
    """Pairs with infl >= threshold, and the `top` highest of each row and each column.

    included: bits uint8 [T, ceil(n / 8)]; test_correct: bits uint8 [T, ceil(e / 8)].
    by="z" has the threshold on `statistics.z_score` instead, and no top. Rows without an
    estimate, never in or never out, take no part. Thresholds are exact; ranks among
    influences that differ by less than float32 shows are arbitrary. Raises InputError if T
    differ or exceed 46,340, or if the threshold is so low that more than 20 million groups
    of 16 pairs reach it.
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
    mesh = make_mesh()
    columns = _columns(test_correct, e)
    everywhere = NamedSharding(mesh, PartitionSpec())
    columns = jax.device_put(columns, everywhere)
    program = _program(mesh, trials, top, threshold is not None, by)
    width = columns.tile_hits.size
    peaks = jax.device_put(
        _Peaks(
            np.full((mesh.size, top, width), -np.inf, np.float32),
            np.full((mesh.size, top, width), -1, np.int32),
        ),
        NamedSharding(mesh, PartitionSpec(AXIS)),
    )
    of_rows, pairs, pending = [], _Pairs(trials, columns, e, threshold, by), None
    with progress("searching", n, "training examples") as bar:
        for first, words, n_in in _blocks(included, n, mesh):
            best, groups, peaks = program(
                words, n_in, np.int32(first // ROWS), peaks, columns
            )
            if pending is not None:
                of_rows.append(_fetch(pending, pairs))
            pending = first, words, n_in, best, groups
            bar.update(min(len(n_in) * ROWS, n - first))
        of_rows.append(_fetch(pending, pairs))
    rows, found_columns, counts = pairs.all()
    return Found(
        rows,
        found_columns,
        counts,
        _best_of_rows(of_rows, trials, columns, n, e, top),
        _best_of_columns(included, n, peaks, columns, trials, e, top),
    )


def _columns(test_correct: np.ndarray, e: int) -> _Columns:
    trials = len(test_correct)
    words = np.asarray(words_of(test_correct))[:, :e]
    fill = -e % COLUMNS
    words = np.pad(words, ((0, 0), (0, fill)))
    hits = np.bitwise_count(words).sum(axis=0, dtype=np.int32)
    with np.errstate(divide="ignore"):
        scale = 1 / np.sqrt(hits * (1 - hits / trials))
    scale = np.where(np.isfinite(scale), scale, 0).astype(np.float32)
    # Columns that only fill tiles: always right though never set, lower than any influence.
    hits[e:], scale[e:] = trials, 1
    tiles, runs = words.shape[1] // COLUMNS, COLUMNS // GROUP
    groups = words.reshape(len(words), tiles * runs, GROUP).transpose(1, 0, 2)
    by_tile = words.reshape(len(words), tiles, runs, GROUP).transpose(1, 0, 3, 2)

    def tiled(values):
        turned = values.reshape(tiles, runs, GROUP).transpose(0, 2, 1)
        return turned.reshape(tiles, COLUMNS)

    return _Columns(
        np.ascontiguousarray(by_tile).reshape(tiles, len(words), COLUMNS),
        tiled(hits),
        tiled(scale),
        np.ascontiguousarray(groups),
        hits.reshape(-1, GROUP),
    )


def _blocks(included, n: int, mesh: Mesh) -> Iterator[tuple[int, jax.Array, jax.Array]]:
    """(first row, words [D, W, ROWS], n_in int32 [D, ROWS]) for D devices at a time.

    Rows beyond n are never in.
    """
    split = NamedSharding(mesh, PartitionSpec(AXIS))
    size = mesh.size * ROWS
    chunk = max(1, CHUNK // size) * size
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        # start is a multiple of 8: bytes can be cut there.
        words = np.asarray(words_of(included[:, start // 8 : -(-stop // 8)]))
        words = words[:, : stop - start]
        words = np.pad(words, ((0, 0), (0, -words.shape[1] % size)))
        for first in range(0, words.shape[1], size):
            some = words[:, first : first + size].reshape(len(words), mesh.size, ROWS)
            some = np.ascontiguousarray(some.transpose(1, 0, 2))
            n_in = np.bitwise_count(some).sum(axis=1, dtype=np.int32)
            yield start + first, *jax.device_put((some, n_in), split)


def _program(mesh: Mesh, trials: int, top: int, with_groups: bool, by: str):
    """Compile the search of D blocks of rows."""

    def block(a, n_in, number, peaks, columns):
        a, n_in, peaks = jax.tree.map(lambda x: x[0], (a, n_in, peaks))
        scale, shift = _scale(n_in, trials, by)

        def tile(args):
            words, hits, column_scale = args
            numerator = count_both(a, words) * trials - n_in[:, None] * hits[None, :]
            infl = numerator.astype(jnp.float32) * scale[:, None] + shift[:, None]
            if by == "z":
                infl *= column_scale[None, :]
            groups = functools.reduce(jnp.maximum, jnp.split(infl, GROUP, axis=1))
            return groups, infl.max(axis=0)

        groups, highest = jax.lax.map(tile, columns[:3])
        groups = groups.transpose(1, 0, 2).reshape(ROWS, -1)
        number = number + jax.lax.axis_index(AXIS)
        peaks = _insert(peaks, highest.reshape(-1), number)
        best = _best_in_groups(a, n_in, groups, columns, trials, top)
        out = best, groups if with_groups else None, peaks
        return jax.tree.map(lambda x: x[None], out)

    many, everywhere = PartitionSpec(AXIS), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            block,
            mesh=mesh,
            in_specs=(many, many, everywhere, many, everywhere),
            out_specs=many,
            check_vma=False,
        ),
        donate_argnums=3,
    )


def _scale(n_in: jax.Array, trials: int, by: str) -> tuple[jax.Array, jax.Array]:
    """infl = numerator * scale + shift; far below any other for rows without an estimate.

    The row's share in z is the square root of that.
    """
    product = n_in * (trials - n_in)
    known = product > 0
    scale = 1 / jnp.maximum(product, 1).astype(jnp.float32)
    if by == "z":
        scale = jnp.sqrt(scale)
    # Not -inf, which a column's scale of 0 would make NaN.
    return jnp.where(known, scale, 0), jnp.where(known, 0, -LOWEST).astype(jnp.float32)


def _insert(peaks: _Peaks, infl: jax.Array, number: jax.Array) -> _Peaks:
    """Put a block's maxima [columns] among the highest so far, best first."""
    number = jnp.full(infl.shape, number, jnp.int32)
    values, numbers = [], []
    for k in range(peaks.infl.shape[0]):
        old, old_number = peaks.infl[k], peaks.block[k]
        higher = infl > old
        values.append(jnp.where(higher, infl, old))
        numbers.append(jnp.where(higher, number, old_number))
        infl = jnp.where(higher, old, infl)
        number = jnp.where(higher, old_number, number)
    if not values:
        return peaks
    return _Peaks(jnp.stack(values), jnp.stack(numbers))


def _best_in_groups(a, n_in, groups, columns: _Columns, trials: int, top: int):
    """(column, hits_in) int32 [ROWS, top or fewer] of each row's highest, best first."""
    if not top:
        return None
    _, chosen = jax.lax.top_k(groups, min(top, groups.shape[1]))
    k = min(top, groups.shape[1] * GROUP)

    def one(args):
        words, inside, group = args
        hits_in = _count_group(words, columns.groups[group])
        numerator = hits_in * trials - inside * columns.hits[group]
        _, place = jax.lax.top_k(numerator.reshape(-1), k)
        column = group[place // GROUP] * GROUP + place % GROUP
        return column, hits_in.reshape(-1)[place]

    return jax.lax.map(one, (a.T, n_in, chosen), batch_size=GROUP)


def _count_group(words: jax.Array, groups: jax.Array) -> jax.Array:
    """Trials in both: a row's words [W] and groups [K, W, GROUP] to int32 [K, GROUP]."""
    both = jax.lax.population_count(groups & words[None, :, None])
    return both.sum(axis=1, dtype=jnp.int32)


def _fetch(pending, pairs: "_Pairs"):
    first, words, n_in, best, groups = pending
    if groups is not None:
        pairs.add(first, words, n_in, groups)
    if best is None:
        return None
    column, hits_in = (np.asarray(x).reshape(-1, x.shape[-1]) for x in best)
    return column, hits_in, np.asarray(n_in).reshape(-1)


class _Pairs:
    """Gathers the pairs above a threshold."""

    def __init__(self, trials: int, columns: _Columns, e: int, threshold, by: str):
        self._statistic = rate_difference if by == "infl" else z_score
        self._trials, self._e, self._threshold = trials, e, threshold
        self._columns = columns
        self._hits = np.asarray(columns.hits).reshape(-1)
        self._groups, self._found = 0, []
        self._count = jax.jit(jax.vmap(lambda w, g: _count_group(w, g[None])[0]))

    def add(self, first: int, words, n_in, groups) -> None:
        """Look into the groups [D, ROWS, G] of a step that reach the threshold."""
        groups = np.asarray(groups).reshape(-1, groups.shape[-1])
        reach = groups >= np.float32(self._threshold - SLACK * max(1, abs(self._threshold)))
        row, group = np.nonzero(reach) if reach.any() else ([], [])
        self._groups += len(row)
        if self._groups > MOST_GROUPS:
            raise InputError(
                f"more than {MOST_GROUPS:,} groups of {GROUP} pairs reach the threshold "
                f"{self._threshold}; take a higher one"
            )
        n_in = np.asarray(n_in).reshape(-1)
        by_row = np.asarray(words).transpose(0, 2, 1).reshape(n_in.size, -1)
        for some in range(0, len(row), 4096):
            r, g = row[some : some + 4096], group[some : some + 4096]
            fill = 1 << max(0, len(r) - 1).bit_length()  # few shapes to compile
            padded = [np.pad(x, (0, fill - len(r))) for x in (r, g)]
            hits_in = self._count(by_row[padded[0]], self._columns.groups[padded[1]])
            hits_in = np.asarray(hits_in)[: len(r)].reshape(-1).astype(np.int64)
            column = (g[:, None] * GROUP + np.arange(GROUP)).reshape(-1)
            r = np.repeat(r, GROUP)
            self._keep(first + r, column, n_in[r].astype(np.int64), hits_in)

    def _keep(self, row, column, n_in, hits_in) -> None:
        real = column < self._e
        row, column, n_in, hits_in = (a[real] for a in (row, column, n_in, hits_in))
        counts = _counts(hits_in, n_in, self._hits[column], self._trials)
        keep = self._statistic(counts) >= self._threshold
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


def _best_of_rows(parts, trials: int, columns: _Columns, n: int, e: int, top: int) -> Best:
    index, infl = np.full((n, top), -1), np.full((n, top), np.nan)
    if top:
        column, hits_in, n_in = (np.concatenate(p)[:n] for p in zip(*parts, strict=True))
        hits = np.asarray(columns.hits).reshape(-1)[column] * (column < e)
        value = rate_difference(
            _counts(hits_in.astype(np.int64), n_in[:, None].astype(np.int64), hits, trials)
        )
        known = (column < e) & np.isfinite(value)
        k = column.shape[1]
        index[:, :k] = np.where(known, column, -1)
        infl[:, :k] = np.where(known, value, np.nan)
    return Best(index, infl)


def _best_of_columns(included, n, peaks, columns: _Columns, trials, e, top) -> Best:
    """Count again the blocks that may hold a column's highest."""
    index, infl = np.full((e, top), -1), np.full((e, top), np.nan)
    if not top:
        return Best(index, infl)
    tiles, runs = columns.tiles.shape[0], COLUMNS // GROUP

    def natural(x):  # [D, k, columns in the tiles' order] -> [D * k, E]
        x = np.asarray(x).reshape(-1, tiles, GROUP, runs).transpose(0, 1, 3, 2)
        return x.reshape(len(x), -1)[:, :e]

    maxima, blocks = natural(peaks.infl), natural(peaks.block)
    order = np.argsort(-maxima, axis=0, kind="stable")[:top]
    maxima, blocks = (np.take_along_axis(x, order, 0) for x in (maxima, blocks))
    blocks = np.where(maxima > -LOWEST, blocks, -1)
    words = (
        np.asarray(columns.groups).transpose(1, 0, 2).reshape(columns.tiles.shape[1], -1)
    )
    hits = np.asarray(columns.hits).reshape(-1)
    count = jax.jit(count_both)
    candidates = [np.full((e, len(blocks), top), x) for x in (np.nan, -1)]
    places, users = np.nonzero(blocks >= 0)
    by_block = np.argsort(blocks[places, users], kind="stable")
    places, users = places[by_block], users[by_block]
    numbers, starts = np.unique(blocks[places, users], return_index=True)
    chunk = CHUNK // ROWS
    made, held = None, None
    with progress("searching columns", numbers.size, "blocks") as bar:
        for number, some in zip(
            numbers, np.split(np.arange(users.size), starts[1:]), strict=True
        ):
            if number // chunk != made:
                made = number // chunk
                part = included[:, made * CHUNK // 8 : (made + 1) * CHUNK // 8]
                held = np.asarray(words_of(part))
            first = number * ROWS
            a = held[:, first - made * CHUNK :][:, : min(ROWS, n - first)]
            a = np.pad(a, ((0, 0), (0, ROWS - a.shape[1])))
            n_in = np.bitwise_count(a).sum(axis=0, dtype=np.int64)
            for part in np.split(some, range(COLUMNS, some.size, COLUMNS)):
                who = users[part]
                b = np.pad(words[:, who], ((0, 0), (0, COLUMNS - who.size)))
                hits_in = np.asarray(count(a, b))[:, : who.size].astype(np.int64)
                value = rate_difference(_counts(hits_in, n_in[:, None], hits[who], trials))
                value = np.where(np.isnan(value), -np.inf, value)
                highest = np.argsort(-value, axis=0, kind="stable")[:top]
                found = np.take_along_axis(value, highest, 0)
                slots = users[part], places[part]
                candidates[0][(*slots, slice(found.shape[0]))] = found.T
                candidates[1][(*slots, slice(found.shape[0]))] = (first + highest).T
            bar.update()
    value, row = (x.reshape(e, -1) for x in candidates)
    value = np.where(np.isfinite(value), value, -np.inf)
    order = np.argsort(-value, axis=1, kind="stable")[:, :top]
    value, row = (np.take_along_axis(x, order, 1) for x in (value, row))
    known = np.isfinite(value)
    index[:, : row.shape[1]] = np.where(known, row, -1)
    infl[:, : row.shape[1]] = np.where(known, value, np.nan)
    return Best(index, infl)
