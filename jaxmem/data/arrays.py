"""Whatever was given, as an array."""

import numpy as np

from jaxmem.errors import InputError


def as_array(key: str, values) -> np.ndarray:
    """What was given under `key` as an array of whatever dtype and shape.

    Raises InputError for a sparse matrix, masked entries, and what is no single array.
    """
    if hasattr(values, "toarray"):
        raise InputError(f"{key} is a sparse matrix; give {key}.toarray()")
    if np.ma.is_masked(values):
        raise InputError(
            f"{key} has masked entries; leave out their rows, or give {key}.filled(…)"
        )
    try:
        return np.asarray(values)
    except Exception as error:  # rows of several shapes, another library's refusal
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"{key} makes no single array: {reason}; give rows that are all of one shape"
        ) from error
