"""What callers give, checked: numbers of any library become Python's, or InputError."""

import ast
import operator
from typing import Any, TypeVar

import numpy as np

from jaxmem.errors import InputError

Word = TypeVar("Word", bound=str)


def whole(name: str, value, least: int | None = None) -> int:
    """A whole number, also as a NumPy scalar or as 4e3, of at least `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        if not (isinstance(value, float | np.floating) and float(value).is_integer()):
            raise InputError(f"{name} {value!r} must be a whole number") from None
        number = int(value)
    if least is not None and number < least:
        raise InputError(f"{name} {number} must be at least {least}")
    return number


def number(name: str, value, low: float | None = None, high: float | None = None) -> float:
    """A number in [low, high], never NaN."""
    if isinstance(value, str | bytes):
        raise InputError(f"{name} {value!r} must be a number")
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} {value!r} must be a number") from None
    below = low is not None and not found >= low
    above = high is not None and not found <= high
    if below or above or np.isnan(found):
        within = {
            (True, True): f"in [{low}, {high}]",
            (True, False): f"at least {low}",
            (False, True): f"at most {high}",
        }.get((low is not None, high is not None), "a number")
        raise InputError(f"{name} {found:g} must be {within}")
    return found


def difference(name: str, value) -> float:
    """A threshold on a difference of rates: in [-1, 1]."""
    return number(name, value, -1, 1)


def positive(name: str, value) -> float:
    """A number above 0, and not infinite."""
    found = number(name, value)
    if not 0 < found < float("inf"):
        raise InputError(f"{name} {found:g} must be positive")
    return found


def keywords(name: str, text: str) -> dict[str, Any]:
    """depth=4,act=relu,sizes=(3,4) as keywords; words are text."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            found = {str(word.arg): _literal(word.value) for word in call.keywords}
            if not call.args and "None" not in found:  # as of **others
                return found
    except (SyntaxError, ValueError):
        pass
    raise InputError(f"{name} {text!r} are no keywords; write depth=4,width=64")


def _literal(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def one_of(name: str, value: Word, known: tuple[str, ...]) -> Word:
    """One of the known words."""
    if value not in known:
        raise InputError(f"unknown {name} {value!r}; known: {', '.join(known)}")
    return value


def rows_of(what: str, rows, size: int) -> np.ndarray:
    """Row numbers int64 [R] of `size` rows; a slice takes its part of them.

    Raises InputError for a number outside, also a negative one, and for what is no row
    number, such as a mask.
    """
    if isinstance(rows, slice):
        return np.arange(size)[rows]
    found = np.atleast_1d(np.asarray(rows))
    if not found.size:
        return np.zeros(0, np.int64)
    if found.ndim > 1 or found.dtype.kind not in "iu":
        hint = "; numpy.flatnonzero makes them of a mask" if found.dtype == bool else ""
        raise InputError(f"{what} rows are {found.dtype}; expected row numbers{hint}")
    outside = found[(found < 0) | (found >= size)]
    if outside.size:
        raise InputError(f"{what} row {outside[0]} is outside 0 … {size - 1}")
    return found.astype(np.int64)
