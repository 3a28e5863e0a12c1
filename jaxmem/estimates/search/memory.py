"""What the memory of a search allows."""

from typing import NamedTuple

import jax
import numpy as np

from jaxmem._shared.arguments import positive
from jaxmem.errors import InputError
from jaxmem.estimates.bits import TRIALS
from jaxmem.estimates.search.columns import COLUMNS, GROUP
from jaxmem.estimates.search.rows import ROWS
from jaxmem.estimates.search.tiles import RANKED_BYTES, Grain

MEMORY = 4.0  # GiB
GIB = 2**30
MOST_ROWS = 65_536  # training examples whose words are computed at a time, at most
# Bytes per found pair, including the final sort. Errors and tests of pairs take 220, when
# the rows' words, which have as much memory, are gone.
PAIR_BYTES = 160


class Allotment(NamedTuple):
    """What a search may use."""

    devices: int  # each has tiles and peaks of its own
    chunk: int  # training examples whose words are computed at a time
    pairs: int  # pairs that may be found


def allot(
    memory: float,
    n: int,
    e: int,
    trials: int,
    top: int,
    grain: Grain,
    devices: int | None = None,
) -> Allotment:
    """As many devices as `memory`, in GiB, allows for a search of n x e pairs.

    devices: how many there are; None: this process's. Raises InputError where memory does
    not suffice for one of them.
    """
    available = positive("memory", memory) * GIB
    devices = len(jax.local_devices()) if devices is None else devices
    # Of a row: bits, words on the device, in NumPy and cut into blocks.
    row_bytes = 4 * _word_bytes(trials)
    while True:
        step = devices * grain.blocks * ROWS
        fixed = _fixed_bytes(n, e, trials, top, devices, grain)
        left = available - fixed
        if left >= 2 * row_bytes * step:
            chunk = max(step, min(MOST_ROWS, int(left / 2 / row_bytes)) // step * step)
            return Allotment(devices, chunk, int(left / 2 / PAIR_BYTES))
        if devices == 1:
            break
        devices //= 2
    least = (fixed + 2 * row_bytes * step) / GIB
    raise InputError(
        f"{memory:g} GiB of memory are too small for a tile of {n:,} x {e:,} pairs and "
        f"{trials:,} trials; {np.ceil(100 * least) / 100:g} are enough"
    )


def _word_bytes(trials: int) -> int:
    """Bytes of an example's words."""
    return -(-trials // TRIALS) * TRIALS // 8


def _fixed_bytes(
    n: int, e: int, trials: int, top: int, devices: int, grain: Grain
) -> float:
    """What a search takes beside the rows' words and the pairs that it finds."""
    columns = -(-e // COLUMNS) * COLUMNS
    # Accelerators have memory of their own: what one of them holds is counted.
    sharing = devices if jax.default_backend() == "cpu" else 1
    bits = trials * (n + e) / 8
    words = 2 * _word_bytes(trials) * columns * 2  # in two orders, here and there
    rows, together = grain.blocks * ROWS, min(grain.tiles * COLUMNS, columns)
    # float32 maxima of two steps, each as tiles give them and in order.
    maxima = 4 * sharing * rows * columns // GROUP * 4
    best_and_peaks = 16 * top * (n + e + 2 * sharing * columns)
    # What does not stay in a cache: bits unpacked, products, influences.
    unpacked = 2 * 8 * _word_bytes(trials) * (rows + together)
    product = unpacked + 8 * rows * together + RANKED_BYTES if grain.tiles > 1 else 0
    return bits + words + maxima + best_and_peaks + product
