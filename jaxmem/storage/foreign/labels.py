"""Labels that others gave: numbers or text."""

import numpy as np

from jaxmem.errors import InputError
from jaxmem.storage.foreign.numbers import MOST, are_whole


def check_labels(
    tr_labels, tt_labels, n: int, e: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int32 [N] and [E], and the names of classes, str [K] or [0].

    Text becomes its place among all the texts, sorted.
    """
    names = np.zeros(0, str)
    if tr_labels is None and tt_labels is None:
        return np.zeros(n, np.int32), np.zeros(e, np.int32), names
    if tr_labels is None or tt_labels is None:
        given, other = ("test", "train") if tr_labels is None else ("train", "test")
        raise InputError(
            f"{given} labels are given and {other} labels are not; give both or neither"
        )
    train, test = _as_labels("train", tr_labels, n), _as_labels("test", tt_labels, e)
    if train.dtype.kind == test.dtype.kind and train.dtype.kind in "US":
        both = np.concatenate([train, test]).astype(str)
        names, both = np.unique(both, return_inverse=True)
        train, test = both[:n], both[n:]
    elif "U" in (kinds := train.dtype.kind + test.dtype.kind) or "S" in kinds:
        raise InputError(
            f"train labels are {train.dtype}, test labels {test.dtype}; give both as "
            "numbers, or both as text"
        )
    return train.astype(np.int32), test.astype(np.int32), names


def _as_labels(what: str, given, size: int) -> np.ndarray:
    """Whole numbers from 0, or text, [size]."""
    what = f"{what} labels"
    try:
        array = np.asarray(given)
    except (ValueError, TypeError):
        raise InputError(f"{what} have several lengths; expected [{size}]") from None
    if array.dtype.kind in "OT" and all(isinstance(label, str) for label in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "biufUS" or isinstance(given, np.ma.MaskedArray):
        kind = type(given).__name__ if array.dtype.names else array.dtype
        raise InputError(f"{what} are {kind}; expected whole numbers or text [{size}]")
    if array.shape != (size,):
        hint = "; of one-hot rows give .argmax(axis=1)" if array.ndim == 2 else ""
        raise InputError(f"{what} have shape {list(array.shape)}; expected [{size}]{hint}")
    if array.dtype.kind in "iuf":
        good = are_whole(array)
        if not good.all():
            raise InputError(
                f"{what} hold {array[~good][0]}; expected whole numbers from 0 to "
                f"{MOST}, or text"
            )
    return array
