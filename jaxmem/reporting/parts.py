"""Arrays as text that a page carries: gzip'd, in base64, each under its name.

A part is a JSON line with the `meta` and where each array lies, filled up with blanks to a
multiple of 8 bytes, and then the arrays, little-endian, each from a multiple of 8 on.
"""

import base64
import gzip
import json
from typing import Any

import numpy as np

FRACTION = 10_000  # what fractions are multiplied by, to be int16
MISSING = -(2**15)  # NaN among them


def fraction(values: np.ndarray) -> np.ndarray:
    """Numbers in [-3, 3] or NaN as int16: to four digits, as the page shows them."""
    known = np.isfinite(values)
    whole = np.rint(np.where(known, values, 0) * FRACTION)
    return np.where(known, whole, MISSING).astype(np.int16)


def pack(
    meta: Any, arrays: dict[str, np.ndarray], fractions: tuple[str, ...] = ()
) -> bytes:
    """A part as gzip'd bytes; fractions: the arrays that are `fraction`s from then on."""
    places, blobs, offset = {}, [], 0
    for name, array in arrays.items():
        array = fraction(array) if name in fractions else array
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        kind = "fraction" if name in fractions else array.dtype.name
        places[name] = {"kind": kind, "offset": offset, "shape": array.shape}
        blob = array.tobytes()
        blobs.append(blob + b"\0" * (-len(blob) % 8))
        offset += len(blobs[-1])
    head = json.dumps({"meta": meta, "arrays": places}, allow_nan=False).encode()
    head += b" " * (-(len(head) + 1) % 8) + b"\n"
    return gzip.compress(b"".join([head, *blobs]), 6, mtime=0)


def as_text(part: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(part).decode()
