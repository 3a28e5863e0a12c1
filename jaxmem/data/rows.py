"""Examples whose images are still encoded: how a source says what can be read from it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxmem.errors import InputError


class Row(NamedTuple):
    """One example as its source has it."""

    image: Any  # a file's path, its content, pixels, or PIL's image
    label: int | str
    name: str  # by which its owner finds it


class Rows(NamedTuple):
    """R examples of one split."""

    count: int  # type: ignore[assignment]  # R; hides tuple.count
    read: Callable[[np.ndarray], Iterator[Row]]  # those of ascending row numbers
    labels: np.ndarray | None = None  # [R], where they are known without reading
    groups: np.ndarray | None = None  # str [R], where they are asked for


class Source(NamedTuple):
    """Both splits of a source, found but not yet decoded."""

    name: str
    train: Rows
    test: Rows
    state: str  # differs whenever what would be read does
    class_names: tuple[str, ...] = ()  # where the source names them
    channels: int | None = None  # 1 or 3 where the source says so
    recipes: str | None = None


def listed_rows(
    images: Sequence | np.ndarray,
    labels: np.ndarray,
    names: list[str],
    groups: np.ndarray | None = None,
) -> Rows:
    """Rows of which all but the images' content is in memory."""

    def read(wanted: np.ndarray) -> Iterator[Row]:
        for row in wanted.tolist():
            yield Row(images[row], labels[row].item(), names[row])

    return Rows(len(images), read, labels, groups)


def select(rows: Rows, chosen: np.ndarray) -> Rows:
    """The rows of ascending numbers `chosen`."""
    return Rows(
        len(chosen),
        lambda wanted: rows.read(chosen[wanted]),
        None if rows.labels is None else rows.labels[chosen],
        None if rows.groups is None else rows.groups[chosen],
    )


def groups_of(rows: Rows, names: np.ndarray) -> np.ndarray | None:
    """The groups, str [R], of the rows of these names, where they were asked for.

    Raises InputError where names repeat, so that it is not clear which is meant.
    """
    if rows.groups is None:
        return None
    found = [row.name for row in rows.read(np.arange(rows.count))]
    known = dict(zip(found, rows.groups.tolist(), strict=True))
    if len(known) < rows.count:
        raise InputError("names of examples repeat; give groups in an .npy file")
    return np.array([known[name] for name in names.tolist()], str)


def all_labels(rows: Rows) -> np.ndarray:
    """The label of every row [R]; reads, where need be, but decodes nothing."""
    if rows.labels is not None:
        return rows.labels
    return np.array([row.label for row in rows.read(np.arange(rows.count))])


def have_labels(rows: Rows, look: int = 100) -> bool:
    """Whether the first rows are labelled: sets for competitions say -1 in their test."""
    first = rows.read(np.arange(min(look, rows.count)))
    return any(row.label not in (-1, None) for row in first)


def check_classes(train: Rows, test: Rows) -> None:
    """Raise InputError where test has a class, by its name, that train lacks.

    Numbered classes of arrays are only warned of (`class_gaps`); of names it is mostly a
    folder or a column that is spelt in two ways.
    """
    known = np.unique(all_labels(train))
    strange = np.setdiff1d(all_labels(test), known)
    if strange.size:
        raise InputError(
            f"class {str(strange[0])!r} of the test split has no training examples; "
            f"classes there are {_some(known.tolist())}; move its examples, or name it "
            "alike in both"
        )


def _some(names: list, most: int = 10) -> str:
    return ", ".join(map(str, names[:most])) + (", …" if len(names) > most else "")
