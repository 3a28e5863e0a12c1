"""A table of numbers with a label column: x.csv or x.parquet."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxmem.data.columns import (
    feature_names,
    features,
    group_column,
    label_column,
    read_csv,
    read_parquet,
    text_labels,
)
from jaxmem.data.dataset import Dataset, make_dataset
from jaxmem.data.options import Options, only
from jaxmem.data.rows import Rows, check_classes, groups_of, listed_rows
from jaxmem.data.splits import split_column, split_rows
from jaxmem.errors import InputError


def load_table(path: Path, class_names: Sequence[str], options: Options) -> Dataset:
    """Numeric columns as rows [D], and a label column; names are row numbers from 0.

    Which rows are tested on: a column `split` says so, or options.test_fraction. Labels
    may be any text or whole numbers: each value is a class.

    Raises InputError, naming the column, for what are no numbers and for missing values.
    """
    takes = (
        "train_split",
        "test_split",
        "test_fraction",
        "input_key",
        "target_key",
        "groups",
    )
    only(f"table {path}", options, *takes)
    table = read_csv(path) if path.suffix.lower() == ".csv" else read_parquet(path)
    key, labels = label_column(path, table, options.target_key)
    y = text_labels(f"column {key} of {path}", labels)
    groups = group_column(path, table, options.groups)
    x = features(path, table, options.input_key, key, options.groups)
    rows = numbered_rows(x, y)._replace(groups=groups)
    train, test = split_rows(str(path), rows, split_column(table), options)
    try:
        data = from_rows(path.stem, train, test, class_names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    names = tuple(feature_names(table, options.input_key, key, options.groups))
    return data._replace(feature_names=names if len(names) == x.shape[1] else ())


def numbered_rows(x: np.ndarray, y: np.ndarray) -> Rows:
    """Rows [R, D] and labels [R] whose names are their numbers."""
    return listed_rows(x, y, [str(row) for row in range(len(y))])


def from_rows(name: str, train: Rows, test: Rows, class_names: Sequence[str]) -> Dataset:
    """A dataset of rows that hold arrays of one shape."""
    check_classes(train, test)
    x, names = zip(*map(_stacked, (train, test)), strict=True)
    data = make_dataset(
        name,
        *(x[0], train.labels, x[1], test.labels),
        class_names=class_names,
        train_names=names[0],
        test_names=names[1],
    )
    return data._replace(groups=groups_of(train, names[0]))


def _stacked(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Values [R, …] and names [R]."""
    found = list(rows.read(np.arange(rows.count)))
    return np.stack([row.image for row in found]), np.array([row.name for row in found])
