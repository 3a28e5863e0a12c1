"""Numbers that others gave, a block of trials at a time."""

from collections.abc import Iterator

import numpy as np

from jaxmem._shared.progress import progress
from jaxmem.errors import InputError

BLOCK = 256  # trials that are read or written at a time
MOST = 2**31 - 2  # of labels and numbers of examples; one more is an int32 too


def as_numbers(what: str, given, dims: tuple[str, ...], empty: bool = False) -> np.ndarray:
    """Numbers or bools of as many dimensions as there are `dims`."""
    expected = f"bool or numbers [{', '.join(dims)}]"
    if isinstance(given, np.ma.MaskedArray):
        raise InputError(f"{what} are a masked array; fill it, as with .filled(np.nan)")
    try:
        array = np.asarray(given)
    except (ValueError, TypeError) as error:  # rows of several lengths, for one
        reason = str(error).splitlines()[0]
        raise InputError(f"{what} are not {expected}: {reason}") from None
    if array.dtype.kind not in "biuf":
        kind = "structured" if array.dtype.names else array.dtype
        raise InputError(f"{what} are {kind} {list(array.shape)}; expected {expected}")
    if array.ndim != len(dims):
        raise InputError(
            f"{what} are {array.dtype} {list(array.shape)}; expected {expected}"
        )
    if array.size == 0 and not empty:
        none = dims[array.shape.index(0)]
        raise InputError(f"{what} have shape {list(array.shape)}: there are no {none}")
    return array


def is_strange(values: np.ndarray) -> np.ndarray:
    """Where values are neither 0 nor 1; NaN is strange too."""
    if values.dtype == bool:
        return np.zeros(values.shape, bool)
    return (values != 0) & (values != 1)


def are_whole(values: np.ndarray) -> np.ndarray:
    """Where values are whole numbers from 0 to MOST."""
    values = values.astype(np.float64)  # MOST is beyond float16
    return (values >= 0) & (values <= MOST) & (np.trunc(values) == values)


def blocks_of(doing: str, trials: int) -> Iterator[slice]:
    """All rows, BLOCK at a time."""
    with progress(doing, trials, "trials") as bar:
        for start in range(0, trials, BLOCK):
            yield slice(start, min(start + BLOCK, trials))
            bar.update(min(BLOCK, trials - start))
