"""The device's part of a search: tiles of the product, and what leaves them.

A tile's counts stay in a core's cache. Out of it go the maximum of every GROUP columns, and
of all its rows.
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem._shared.devices import AXIS
from jaxmem.estimates.bits import count_both, words_of

ROWS, COLUMNS = 256, 256  # of a tile
GROUP = 16  # columns whose maximum leaves the tile: a cache line of words
LOWEST = 1e30  # minus this is lower than any influence


class Columns(NamedTuple):
    """The test examples as tiles want them. Of group g, column c is g * GROUP + c."""

    tiles: jax.Array  # uint32 [C, W, COLUMNS]: first column of each group, then second, …
    tile_hits: jax.Array  # int32 [C, COLUMNS], how many trials are right; filled up with T
    tile_scale: jax.Array  # float32 [C, COLUMNS], the column's share in z
    groups: jax.Array  # uint32 [G, W, GROUP]: the same words, a group after another
    hits: jax.Array  # int32 [G, GROUP]


class Peaks(NamedTuple):
    """The blocks of rows with the highest maxima of each column so far, on one device."""

    infl: jax.Array  # float32 [top, C * COLUMNS]
    block: jax.Array  # int32 [top, C * COLUMNS]


def make_columns(test_correct: np.ndarray, e: int) -> Columns:
    """Columns, in NumPy, of bits uint8 [T, ceil(e / 8)]; filled up to whole tiles."""
    trials = len(test_correct)
    words = words_of(test_correct)[:, :e]
    fill = -e % COLUMNS
    words = np.pad(words, ((0, 0), (0, fill)))
    hits = np.bitwise_count(words).sum(axis=0, dtype=np.int32)
    with np.errstate(divide="ignore"):
        scale = 1 / np.sqrt(hits * (1 - hits / trials))
    scale = np.where(np.isfinite(scale), scale, 0).astype(np.float32)
    # Columns that only fill tiles: always right though never set, lower than any influence;
    # with very many trials only as often as fits into int32, which is still out of reach.
    hits[e:], scale[e:] = min(trials, (2**31 - 1) // trials), 1
    tiles, runs = words.shape[1] // COLUMNS, COLUMNS // GROUP
    groups = words.reshape(len(words), tiles * runs, GROUP).transpose(1, 0, 2)
    by_tile = words.reshape(len(words), tiles, runs, GROUP).transpose(1, 0, 3, 2)

    def tiled(values):
        turned = values.reshape(tiles, runs, GROUP).transpose(0, 2, 1)
        return turned.reshape(tiles, COLUMNS)

    return Columns(
        np.ascontiguousarray(by_tile).reshape(tiles, len(words), COLUMNS),
        tiled(hits),
        tiled(scale),
        np.ascontiguousarray(groups),
        hits.reshape(-1, GROUP),
    )


def row_blocks(
    included: np.ndarray, n: int, chunk: int, mesh: Mesh
) -> Iterator[tuple[int, jax.Array, jax.Array]]:
    """(first row, words [D, W, ROWS], n_in int32 [D, ROWS]) for D devices at a time.

    included: bits uint8 [T, ceil(n / 8)], of which the words of `chunk` rows are made at a
    time, a multiple of D · ROWS. Rows beyond n are never in.
    """
    split = NamedSharding(mesh, PartitionSpec(AXIS))
    size = mesh.size * ROWS
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        # start is a multiple of 8: bytes can be cut there.
        words = words_of(included[:, start // 8 : -(-stop // 8)])
        words = words[:, : stop - start]
        words = np.pad(words, ((0, 0), (0, -words.shape[1] % size)))
        for first in range(0, words.shape[1], size):
            some = words[:, first : first + size].reshape(len(words), mesh.size, ROWS)
            some = np.ascontiguousarray(some.transpose(1, 0, 2))
            n_in = np.bitwise_count(some).sum(axis=1, dtype=np.int32)
            yield start + first, *jax.device_put((some, n_in), split)


@functools.cache
def compile_search(
    mesh: Mesh, trials: int, top: int, with_groups: bool, by: str
) -> Callable:
    """The program that searches D blocks of rows.

    f(words [D, W, ROWS], n_in [D, ROWS], number of the first block, peaks, columns) ->
    (columns and hits_in, int32 [D, ROWS, top or fewer] each, of each row's highest or None;
    maxima of groups float32 [D, ROWS, G] or None; peaks). The peaks given are consumed.
    """

    def block(a, n_in, number, peaks, columns):
        a, n_in, peaks = jax.tree.map(lambda x: x[0], (a, n_in, peaks))
        scale, shift = _scale(n_in, trials, by)

        def tile(args):
            words, hits, column_scale = args
            _, infl = _influences(a, words, n_in, hits, scale, shift, trials)
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


@functools.partial(jax.jit, static_argnames=("trials", "top"))
def best_of_columns(
    a: jax.Array, words: jax.Array, n_in: jax.Array, hits: jax.Array, trials: int, top: int
) -> tuple[jax.Array, jax.Array]:
    """(row, hits_in) int32 [C, top or ROWS] of each column's highest of a block of rows.

    Words of the rows [W, ROWS] and columns [W, C], n_in [ROWS], hits [C].
    """
    scale, shift = _scale(n_in, trials, "infl")
    hits_in, infl = _influences(a, words, n_in, hits, scale, shift, trials)
    _, row = jax.lax.top_k(infl.T, min(top, ROWS))
    return row, jnp.take_along_axis(hits_in.T, row, axis=1)


def _influences(a, words, n_in, hits, scale, shift, trials: int):
    """hits_in int32 and infl (or its row's share in z) float32, [rows, columns] both."""
    hits_in = count_both(a, words)
    numerator = hits_in * trials - n_in[:, None] * hits[None, :]
    return hits_in, numerator.astype(jnp.float32) * scale[:, None] + shift[:, None]


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


def _insert(peaks: Peaks, infl: jax.Array, number: jax.Array) -> Peaks:
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
    return Peaks(jnp.stack(values), jnp.stack(numbers))


def _best_in_groups(a, n_in, groups, columns: Columns, trials: int, top: int):
    """(column, hits_in) int32 [ROWS, top or fewer] of each row's highest, best first."""
    if not top:
        return None
    _, chosen = jax.lax.top_k(groups, min(top, groups.shape[1]))
    k = min(top, groups.shape[1] * GROUP)

    def one(args):
        words, inside, group = args
        both = columns.groups[group] & words[None, :, None]
        hits_in = jax.lax.population_count(both).sum(axis=1, dtype=jnp.int32)
        numerator = hits_in * trials - inside * columns.hits[group]
        _, place = jax.lax.top_k(numerator.reshape(-1), k)
        column = group[place // GROUP] * GROUP + place % GROUP
        return column, hits_in.reshape(-1)[place]

    return jax.lax.map(one, (a.T, n_in, chosen), batch_size=GROUP)
