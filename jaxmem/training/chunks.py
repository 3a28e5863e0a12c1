"""Rows that stay on the host: read ahead, and sent in chunks while devices work.

A host buffer is never used twice: a CPU device may borrow it.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem._shared.devices import aligned_empty
from jaxmem.training.pieces import Pieces

CHUNK_BYTES = 2**27  # sent at a time, about
AHEAD = 2  # chunks that are read before they are asked for; and computed before we wait

T = TypeVar("T")


class Chunk(NamedTuple):
    """Some pieces of the rows."""

    start: jax.Array  # int32 [Q]: as in Pieces
    fresh: jax.Array  # int32 [Q]
    images: jax.Array  # [Q, size, H, W, C]


def read_ahead(read: Callable[[int], T], count: int) -> Iterator[T]:
    """read(0), …, read(count - 1), on a thread that is AHEAD of what is asked for."""
    import grain  # takes a while to import

    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
    return iter(grain.MapDataset.range(count).map(read).to_iter_dataset(options))


def take_rows(images: np.ndarray, index: np.ndarray) -> np.ndarray:
    """images[index], in memory that devices can borrow."""
    rows = aligned_empty((index.size, *images.shape[1:]), images.dtype)
    np.take(images, index.ravel(), axis=0, out=rows, mode="clip")  # "raise" would copy
    return rows.reshape(*index.shape, *images.shape[1:])


def in_order(images: np.ndarray, pieces: Pieces, mesh: Mesh) -> Iterator[Chunk]:
    """All rows, on every device of the mesh; perhaps at the end pieces of no fresh row."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    count = pieces.start.size
    each = per_chunk(count, pieces.size * images[0].nbytes)

    def read(k: int) -> Chunk:
        which = np.arange(k * each, (k + 1) * each)
        start = pieces.start[np.minimum(which, count - 1)]
        fresh = np.append(pieces.fresh, np.int32(len(images)))[np.minimum(which, count)]
        rows = take_rows(images, start[:, None] + np.arange(pieces.size))
        return Chunk(*jax.device_put((start, fresh, rows), everywhere))

    return read_ahead(read, -(-count // each))


def per_chunk(count: int, nbytes: int) -> int:
    """How many things of so many bytes go into a chunk, of so many in all; evenly."""
    # A loop over one thing would compile to another program.
    most = max(min(2, count), CHUNK_BYTES // max(1, nbytes))
    return math.ceil(count / math.ceil(count / most))


def is_ready(array: jax.Array) -> bool:
    """Whether it has been computed."""
    return array.is_ready()  # type: ignore[attr-defined]  # of arrays, not of tracers


def drive(chunks: Iterator[T], work: Callable[[T, bool], jax.Array]) -> None:
    """Work on each chunk as it comes, AHEAD of the devices.

    work(chunk, waited) -> what is computed last; waited: whether the devices had finished
    before this chunk came.
    """
    running: deque[jax.Array] = deque()
    for chunk in chunks:
        waited = bool(running) and is_ready(running[-1])
        running.append(work(chunk, waited))
        if len(running) > AHEAD:
            jax.block_until_ready(running.popleft())
