"""The device's part of a search: tiles of the product, and what leaves them.

A tile's counts stay in a core's cache; an accelerator multiplies many tiles at a time. Out
of them go two kinds of maxima: over the columns of each group, and over the rows of each
block and column.
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem._shared.devices import AXIS, Array
from jaxmem.estimates.bits import count_both
from jaxmem.estimates.search.columns import (
    COLUMNS,
    GROUP,
    Groups,
    Tiles,
    column_number,
    group_maxima,
)
from jaxmem.estimates.search.rows import ROWS

By = Literal["infl", "z"]
NO_ESTIMATE = -1e30  # in the place of an influence
# Products of counts wrap around in int32; their difference, T² / 4 at most, must not.
MOST_TRIALS = 92_681
RANKED_BYTES = 2**28  # of columns' words, that are gathered at a time for rows to be ranked


class Grain(NamedTuple):
    """How many tiles are looked at together."""

    blocks: int  # of training examples, on each device in a step
    tiles: int  # of test examples, in a product
    ranked: int  # rows, or columns, whose highest are found together, at most


def grain() -> Grain:
    """What the device at hand is fastest with."""
    return Grain(1, 1, GROUP) if jax.default_backend() == "cpu" else Grain(16, 32, 1024)


class Peaks(NamedTuple):
    """The blocks of rows with the highest maxima of each column so far, on one device."""

    infl: Array  # float32 [top, C * COLUMNS], as tiles have the columns
    block: Array  # int32 [top, C * COLUMNS]


def no_peaks(mesh: Mesh, top: int, tiles: int) -> Peaks:
    """Peaks before the first block, [D, top, tiles * COLUMNS] over the mesh."""
    shape = mesh.size, top, tiles * COLUMNS
    empty = Peaks(np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int32))
    return jax.device_put(empty, NamedSharding(mesh, PartitionSpec(AXIS)))


@functools.cache
def compile_search(mesh: Mesh, trials: int, top: int, by: By, grain: Grain) -> Callable:
    """The program that searches a step of R = blocks · ROWS rows on each device.

    f(words [D, W, R], n_in [D, R], number of the first block, least maximum or None, peaks,
    tiles, groups) -> (columns and hits_in, int32 [D, R, top or fewer] each, of each row's
    highest or None; which groups have the least maximum, packed uint8 [D, R, G / 8] or
    None; peaks). The peaks given are consumed.
    """

    def step(words, n_in, number, least, peaks, tiles: Tiles, groups: Groups):
        words, n_in, peaks = jax.tree.map(lambda x: x[0], (words, n_in, peaks))
        scale, shift = _scale(n_in, trials, by)

        def maxima_of(tile: Tiles):
            _, infl = _influences(words, tile.words, n_in, tile.hits, scale, shift, trials)
            if by == "z":
                infl *= tile.scale[None, :]
            return group_maxima(infl), infl.reshape(-1, ROWS, COLUMNS).max(axis=1)

        together = grain.tiles if grain.tiles > 1 else None
        maxima, highest = jax.lax.map(maxima_of, tiles, batch_size=together)
        maxima = maxima.transpose(1, 0, 2).reshape(n_in.size, -1)
        highest = highest.transpose(1, 0, 2).reshape(grain.blocks, -1)
        number = number + jax.lax.axis_index(AXIS) * grain.blocks + jnp.arange(grain.blocks)
        peaks, _ = jax.lax.scan(
            lambda p, x: (_insert(p, *x), None), peaks, (highest, number)
        )
        best = reach = None
        if top:
            a_row = 4 * min(top, maxima.shape[1]) * groups.words[0].size
            some = max(GROUP, min(grain.ranked, RANKED_BYTES // a_row))
            best = _best_in_groups(words, n_in, maxima, groups, trials, top, some)
        if least is not None:
            reach = jnp.packbits(maxima >= least, axis=1)
        return jax.tree.map(lambda x: x[None], (best, reach, peaks))

    split, whole = PartitionSpec(AXIS), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            step,
            mesh=mesh,
            in_specs=(split, split, whole, whole, split, whole, whole),
            out_specs=split,
            check_vma=False,
        ),
        donate_argnums=4,
    )


@functools.partial(jax.jit, static_argnames=("trials", "top"))
def best_of_block(
    rows: jax.Array,
    columns: jax.Array,
    n_in: jax.Array,
    hits: jax.Array,
    trials: int,
    top: int,
) -> tuple[jax.Array, jax.Array]:
    """(row, hits_in) int32 [R, top or ROWS] of each column's highest in a block of rows.

    Words of the rows [W, ROWS] and columns [W, R], n_in [ROWS], hits [R].
    """
    scale, shift = _scale(n_in, trials, "infl")
    hits_in, infl = _influences(rows, columns, n_in, hits, scale, shift, trials)
    _, row = jax.lax.top_k(infl.T, min(top, ROWS))
    return row, jnp.take_along_axis(hits_in.T, row, axis=1)


def _influences(rows, columns, n_in, hits, scale, shift, trials: int):
    """hits_in int32 and infl (or its row's share in z) float32, [rows, columns] both."""
    hits_in = count_both(rows, columns)
    numerator = hits_in * trials - n_in[:, None] * hits[None, :]
    return hits_in, numerator.astype(jnp.float32) * scale[:, None] + shift[:, None]


def _scale(n_in: jax.Array, trials: int, by: By) -> tuple[jax.Array, jax.Array]:
    """infl = numerator * scale + shift; NO_ESTIMATE for rows without one.

    The row's share in z is the square root of that scale.
    """
    product = n_in * (trials - n_in)
    known = product > 0
    scale = 1 / jnp.maximum(product, 1).astype(jnp.float32)
    if by == "z":
        scale = jnp.sqrt(scale)
    # Not -inf, which a column's scale of 0 would make NaN.
    shift = jnp.where(known, 0, NO_ESTIMATE).astype(jnp.float32)
    return jnp.where(known, scale, 0), shift


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


def _best_in_groups(
    words, n_in, maxima, groups: Groups, trials: int, top: int, together: int
):
    """(column, hits_in) int32 [R, top or fewer] of each row's highest, best first.

    The k highest of a row lie in the k groups with the highest maxima.
    """
    _, chosen = jax.lax.top_k(maxima, min(top, maxima.shape[1]))
    k = min(top, maxima.shape[1] * GROUP)

    def best_of_row(args):
        row, inside, group = args
        both = groups.words[group] & row[None, :, None]
        hits_in = jax.lax.population_count(both).sum(axis=1, dtype=jnp.int32)
        numerator = hits_in * trials - inside * groups.hits[group]
        _, place = jax.lax.top_k(numerator.reshape(-1), k)
        column = column_number(group[place // GROUP], place % GROUP)
        return column, hits_in.reshape(-1)[place]

    return jax.lax.map(best_of_row, (words.T, n_in, chosen), batch_size=together)
