"""Labels as a dataset keeps them: class numbers 0 … K - 1, and the names of classes."""

import re
from collections import Counter
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np

from jaxmem.data.arrays import as_array
from jaxmem.errors import InputError

LISTED = 5  # classes that a message names


class Labels(NamedTuple):
    """The labels of both splits."""

    train: np.ndarray  # int32 [N]
    test: np.ndarray  # int32 [E]
    num_classes: int
    class_names: tuple[str, ...]


def read_labels(
    y_train, y_test, rows: tuple[int, int], num_classes: int | None, class_names
) -> Labels:
    """Class numbers or names [N] and [E], for as many rows, as class numbers.

    Raises InputError, naming the array, for whatever leaves in doubt which class is meant.
    """
    train = _column("y_train", y_train, "x_train", rows[0])
    test = _column("y_test", y_test, "x_test", rows[1])
    if (train.dtype.kind == "U") != (test.dtype.kind == "U"):
        raise InputError("y_train and y_test must both be names, or both class numbers")
    names = _class_names(class_names)
    if train.dtype.kind == "U":
        names = names or _in_order(np.union1d(train, test).tolist())
        train, test = _number("y_train", train, names), _number("y_test", test, names)
    else:
        train, test = _whole("y_train", train), _whole("y_test", test)
    count = _count(train, test, num_classes, names)
    if names == tuple(map(str, range(count))):
        names = ()
    return Labels(train, test, count, names)


def listed(classes: Sequence) -> str:
    """Classes in words: "class 3", "classes 3 and 7", "classes 1, 2, 3, 4, 5, …"."""
    words = [str(c) for c in classes[:LISTED]]
    if len(classes) > LISTED:
        return f"classes {', '.join(words)}, …"
    if len(words) == 1:
        return f"class {words[0]}"
    return f"classes {', '.join(words[:-1])} and {words[-1]}"


def _column(key: str, values, images_key: str, rows: int) -> np.ndarray:
    """One label a row: numbers, or text of dtype U."""
    labels = as_array(key, values)
    if labels.dtype.kind in "USTO":
        labels = _text(key, np.asarray(values, dtype=object))
    if labels.shape == (rows, 1):
        labels = labels[:, 0]
    if labels.shape == (rows,):
        return labels
    if labels.ndim == 2 and labels.dtype.kind in "iufb" and _is_one_hot(labels):
        raise InputError(
            f"{key} has shape {labels.shape}; looks one-hot: give {key}.argmax(axis=1)"
        )
    raise InputError(
        f"{key} has shape {labels.shape}, but {images_key} has {rows} rows; "
        f"expected ({rows},), a label for each"
    )


def _is_one_hot(labels: np.ndarray) -> bool:
    ones = labels == 1
    return bool((ones.sum(axis=1) == 1).all() and ((labels == 0) | ones).all())


def _text(key: str, values: np.ndarray) -> np.ndarray:
    """All of `values` (dtype object) as text of dtype U."""
    if not all(isinstance(value, str | bytes) for value in values.flat):
        raise InputError(
            f"{key} holds Python objects that are not all text; give {key}.astype(int), or "
            f"{key}.astype(str) for classes by their names"
        )
    try:
        text = [v.decode() if isinstance(v, bytes) else v for v in values.flat]
    except UnicodeDecodeError:
        raise InputError(f"{key} has names that are not UTF-8; give them as str") from None
    return np.array(text, dtype=str).reshape(values.shape)


def _class_names(values) -> tuple[str, ...]:
    array = as_array("class_names", values)
    if array.size == 0:
        return ()
    if array.ndim != 1 or array.dtype.kind not in "USTO":
        raise InputError("class_names must be a list of text, one for each class")
    names = _text("class_names", np.asarray(values, dtype=object)).tolist()
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(
            f"class_names has {twice[0]!r} twice; give each class its own name"
        )
    return tuple(names)


def _in_order(names: list[str]) -> tuple[str, ...]:
    """By number where all are whole numbers: 9 before 10."""
    if all(re.fullmatch("-?[0-9]{1,18}", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _number(key: str, labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    numbers = {name: number for number, name in enumerate(names)}
    found = labels.tolist()
    strange = next((label for label in found if label not in numbers), None)
    if strange is not None:
        raise InputError(f"{key} has label {strange!r}, which class_names lacks; add it")
    return np.array([numbers[label] for label in found], dtype=np.int32)


def _whole(key: str, labels: np.ndarray) -> np.ndarray:
    """Class numbers as int32, whatever they were stored in."""
    ask = "give class numbers 0, 1, … or names"
    if labels.dtype.kind not in "iufb":
        raise InputError(f"{key} has dtype {labels.dtype.name}; {ask}")
    if labels.dtype.kind == "f":
        finite = np.isfinite(labels)
        if not finite.all():
            raise InputError(
                f"{key} has {(~finite).sum()} labels that are NaN or infinite, the first "
                f"in row {finite.argmin()}; leave out such rows"
            )
        fractions = labels != np.floor(labels)
        if fractions.any():
            row = fractions.argmax()
            raise InputError(f"{key} has label {labels[row]} in row {row}; {ask}")
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 and np.unique(labels).tolist() == [-1, 1]:
        raise InputError(f"{key} has labels -1 and 1; give ({key} + 1) // 2")
    if lowest < 0 or highest >= 2**31:
        wrong = lowest if lowest < 0 else highest
        raise InputError(f"{key} has label {wrong}, which is no class number; {ask}")
    return labels.astype(np.int32)


def _count(train, test, num_classes: int | None, names: tuple[str, ...]) -> int:
    """The number of classes; raises InputError where the labels do not fit it."""
    if num_classes is not None and (
        not isinstance(num_classes, Integral) or num_classes < 2
    ):
        raise InputError(f"num_classes is {num_classes!r}; give a whole number, at least 2")
    if names and num_classes not in (None, len(names)):
        raise InputError(
            f"num_classes is {num_classes}, but there are {len(names)} class names; "
            "they must agree"
        )
    if train.min() == train.max():
        one = names[train[0]] if names and train[0] < len(names) else train[0]
        raise InputError(f"y_train has only one class, {one}: nothing to tell apart")
    count = num_classes or len(names)
    if not count:
        return _count_without_gaps(np.union1d(train, test))
    for key, labels in (("y_train", train), ("y_test", test)):
        if labels.max() >= count:
            raise InputError(
                f"{key} has label {labels.max()}, but there are {count} classes, "
                f"0 … {count - 1}"
            )
    return int(count)


def _count_without_gaps(present: np.ndarray) -> int:
    """The number of classes where all up to the highest have examples."""
    count = int(present[-1]) + 1
    if count == present.size:
        return count
    some = np.arange(min(count, present.size + LISTED + 1))
    empty = np.setdiff1d(some, present)
    raise InputError(
        f"labels are {present[0]} … {present[-1]} and {listed(empty.tolist())} "
        f"{'is' if empty.size == 1 else 'are'} empty; number the classes without gaps (of "
        "y_train and y_test together, numpy.unique(labels, return_inverse=True)[1]), or "
        "name all of them: class_names, or num_classes from Python"
    )
