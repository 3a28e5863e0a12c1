"""Tables by their columns: the features, the label, and what cannot be either."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxmem._shared.files import reason
from jaxmem.errors import InputError

LABELS = ("label", "target", "class", "y")  # columns


def read_csv(path: Path):
    """A CSV file as pyarrow's table; raises InputError where it is none."""
    import pyarrow.csv

    return _read(path, lambda: pyarrow.csv.read_csv(path))


def read_parquet(path: Path):
    """A Parquet file, or a folder of them, as pyarrow's table; raises InputError."""
    import pyarrow.parquet

    return _read(path, lambda: pyarrow.parquet.read_table(path))


def _read(path: Path, read):
    try:
        table = read()
        names = table.column_names  # which may be no UTF-8
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except Exception as error:  # what pyarrow's parsers end in
        raise InputError(f"{path} is no readable table: {reason(error)}") from error
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"{path} has two columns {min(twice)!r}; rename one")
    if not table.num_rows:
        raise InputError(f"{path} has no rows")
    return table


def column(
    source, table, asked: str | None, usual: Sequence[str], option: str, words: str
) -> str:
    """The name of the column asked for, or the first of the usual ones that is there."""
    names = table.column_names
    found = asked or next((name for name in usual if name in names), None)
    if found is not None and found in names:
        return found
    lacks = f"has no column {found!r}" if asked else f"has no usual column of {words}"
    raise InputError(f"{source} {lacks}; give {option}=… one of {_listed(names)}")


def label_column(source, table, asked: str | None) -> tuple[str, np.ndarray]:
    """Name and values [R] of the label's column; raises InputError for missing ones."""
    key = column(source, table, asked, LABELS, "target_key", "the label")
    values = table[key]
    labels = values.to_pylist()
    lacking = sum(label in (None, "") for label in labels)
    if lacking:
        raise InputError(
            f"column {key} of {source} lacks {lacking} of {len(labels)} labels; leave out "
            "such rows"
        )
    return key, np.array(labels)


def group_column(source, table, asked: str | None) -> np.ndarray | None:
    """The column of the groups as text, str [R], "" where one lacks; None: not asked for.

    Raises InputError where there is no such column.
    """
    if asked is None:
        return None
    values = table[column(source, table, asked, (), "groups", "a group")].to_pylist()
    return np.array(["" if value is None else str(value) for value in values])


def text_labels(what: str, labels: np.ndarray) -> np.ndarray:
    """Labels of a table as names, str [R], so that 1, 2, 5 are three classes.

    Raises InputError for fractions, and for as many classes as rows.
    """
    if labels.dtype.kind == "f":
        fractions = labels[labels != np.floor(labels)]
        if fractions.size or not np.isfinite(labels).all():
            wrong = fractions[0] if fractions.size else labels[~np.isfinite(labels)][0]
            raise InputError(
                f"{what} has {wrong}, which is no class; give target_key=… with another, "
                "or put its values into classes"
            )
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "b":
        labels = labels.astype(np.int64)
    names = labels.astype(str)
    classes = np.unique(names).size
    if classes == names.size > 2:
        raise InputError(
            f"{what} has another value in each of {names.size} rows: no classes; give "
            "target_key=… with another column"
        )
    return names


def feature_names(
    table, asked: str | None, label: str, groups: str | None = None
) -> list[str]:
    """The columns asked for, or all but the label's, the groups' and `split`."""
    if asked is not None:
        return [name.strip() for name in asked.split(",")]
    return [n for n in table.column_names if n not in (label, groups, "split")]


def features(
    source, table, asked: str | None, label: str, groups: str | None = None
) -> np.ndarray:
    """The numeric columns, by `feature_names`, as one array [R, D].

    Raises InputError, naming the column, for strings, dates and missing values.
    """
    names = feature_names(table, asked, label, groups)
    if len(names) == 1 and names[0] in table.column_names:
        values = table[names[0]]
        if hasattr(values.type, "value_type"):  # lists
            return _vectors(source, names[0], values)
    columns = [_numbers(source, table, name, label) for name in names]
    if not columns:
        raise InputError(f"{source} has no columns beside {label}")
    return np.stack(columns, axis=1)


def _vectors(source, name: str, values) -> np.ndarray:
    """A column of lists, such as embeddings, as an array [R, D]."""
    rows = [np.asarray(value) for value in values.to_numpy(zero_copy_only=False)]
    shapes = {row.shape for row in rows}
    if len(shapes) > 1 or rows[0].dtype.kind not in "iufb":
        raise InputError(
            f"column {name} of {source} holds {values.type} of lengths "
            f"{_listed([str(shape) for shape in sorted(shapes)], 3)}; expected vectors of "
            "one length"
        )
    return np.stack(rows)


def _numbers(source, table, name: str, label: str) -> np.ndarray:
    if name not in table.column_names:
        raise InputError(
            f"{source} has no column {name!r}; give input_key=… of "
            f"{_listed(table.column_names)}"
        )
    values = table[name]
    if not _is_number(values.type):
        others = [other for other in table.column_names if other != label]
        numeric = [other for other in others if _is_number(table[other].type)]
        raise InputError(
            f"column {name} of {source} holds {values.type}, not numbers; turn it into "
            f"numbers, or leave it out by input_key={','.join(numeric[:20]) or '…'}"
        )
    lacking = values.null_count
    if not lacking:
        found = values.to_numpy()
        if found.dtype.kind == "f":
            lacking = (~np.isfinite(found)).sum()
    if lacking:
        raise InputError(
            f"column {name} of {source} lacks {lacking} of {len(values)} values; fill them "
            "in, or leave out such rows"
        )
    # A table's bytes are numbers, not pixels.
    return found.astype(np.int16) if found.dtype in (bool, np.uint8) else found


def _is_number(kind) -> bool:
    import pyarrow.types as kinds

    return kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)


def _listed(names: Sequence[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
