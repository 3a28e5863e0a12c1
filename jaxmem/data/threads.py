"""Rows decoded on all cores: in order, and a bounded number ahead of who takes them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np

from jaxmem._shared.devices import cores
from jaxmem._shared.files import reason
from jaxmem.data.decoding import Unreadable, decode
from jaxmem.data.images import id_of
from jaxmem.data.rows import Row, Rows
from jaxmem.errors import InputError

CHUNK = 16  # rows that a thread decodes at a time
AHEAD = 3  # chunks a thread that may wait to be taken


def decode_rows(rows: Rows, size: int | None, channels: int) -> Iterator[list]:
    """Lists of (row, (pixels, id) or Unreadable), in order.

    Threads do: Pillow and SHA-256 leave Python to others while they work.
    """
    threads = cores()
    found = rows.read(np.arange(rows.count))
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[list]] = deque()
    try:
        while chunk := list(islice(found, CHUNK)):
            waiting.append(pool.submit(_decode_chunk, chunk, size, channels))
            if len(waiting) > AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_chunk(chunk: list[Row], size: int | None, channels: int) -> list:
    results: list[tuple] = []
    for row in chunk:
        try:
            pixels = decode_row(row, size, channels)
            results.append((row._replace(image=None), (pixels, id_of(pixels))))
        except Unreadable as error:
            results.append((row, error))
    return results


def decode_row(row: Row, size: int | None, channels: int | None) -> np.ndarray:
    """`decode` of a row's image; raises InputError where its file cannot be opened."""
    try:
        pixels = decode(row.image, size, channels)
    except FileNotFoundError:
        raise InputError(f"{row.name} is gone since its folder was listed") from None
    except OSError as error:
        raise InputError(f"{row.name} cannot be read: {reason(error)}") from error
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise Unreadable("it has pixels that are NaN or infinite")
    return pixels


def unreadable(row: Row, error: Unreadable) -> InputError:
    """What to say of an image that cannot be decoded."""
    return InputError(
        f"{row.name} cannot be read: {error}; mend or remove it, or give "
        "skip_unreadable=True to leave out all such"
    )
