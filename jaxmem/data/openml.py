"""Tables of OpenML, through scikit-learn."""

import importlib.util
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmem._shared.files import reason
from jaxmem.data.columns import text_labels
from jaxmem.data.dataset import Dataset
from jaxmem.data.options import Options, only
from jaxmem.data.splits import split_rows
from jaxmem.data.tables import from_rows, numbered_rows
from jaxmem.errors import InputError


def load_openml(name: str, class_names: Sequence[str], options: Options) -> Dataset:
    """Load openml:NAME, in its newest version, or openml:NUMBER; it is one table.

    options.test_fraction says what is tested on; data_dir is scikit-learn's data_home.
    Raises InputError for what cannot be fetched, and for columns that hold no numbers.
    """
    takes = "train_split", "test_split", "test_fraction", "input_key", "target_key"
    only(name, options, *takes)
    found = _fetch(name, options)
    if found.target is None:
        raise InputError(
            f"{name} has no target by itself; give target_key=… one of "
            f"{', '.join(found.feature_names)}"
        )
    labels = np.asarray(found.target)
    if labels.ndim != 1:
        raise InputError(f"{name} has {labels.shape[1]} targets; give target_key=… of one")
    x = _features(name, found, options)
    y = text_labels(f"target of {name}", labels)
    train, test = split_rows(name, numbered_rows(x, y), None, options)
    try:
        data = from_rows(f"openml-{name.removeprefix('openml:')}", train, test, class_names)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return data._replace(feature_names=tuple(_chosen(found, options)))


def _chosen(found: Any, options: Options) -> list[str]:
    if options.input_key is None:
        return list(found.feature_names)
    return [column.strip() for column in options.input_key.split(",")]


def _fetch(name: str, options: Options) -> Any:
    from sklearn.datasets import fetch_openml

    text = name.removeprefix("openml:")
    which = {"data_id": int(text)} if text.isdigit() else {"name": text}
    # The parser that needs no pandas is slow.
    parser = "pandas" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of retries, which end here or in an error
            return fetch_openml(
                **which,
                target_column=options.target_key or "default-target",
                data_home=options.data_dir,
                as_frame=False,
                parser=parser,
            )
    except Exception as error:  # whatever a name, a network or a file can end in
        raise InputError(
            f"{name} cannot be fetched from OpenML: {reason(error)}; it reads from its "
            "cache what was fetched before: data_dir=…"
        ) from error


def _features(name: str, found: Any, options: Options) -> np.ndarray:
    """The columns [R, D]; raises InputError, naming it, for one that holds no numbers."""
    if hasattr(found.data, "toarray"):
        raise InputError(f"{name} is sparse; save it as .npz: x.toarray()")
    names, chosen = list(found.feature_names), _chosen(found, options)
    return np.stack([_column(name, found, names, column) for column in chosen], axis=1)


def _column(name: str, found: Any, names: list[str], column: str) -> np.ndarray:
    if column not in names:
        raise InputError(
            f"{name} has no column {column!r}; give input_key=… of {', '.join(names)}"
        )
    words = found.categories or {}
    if column in words:  # which one parser numbers, and the other does not
        rest = [other for other in names if other not in words]
        raise InputError(
            f"column {column} of {name} holds words ({', '.join(words[column][:3])}, …), "
            f"not numbers; leave it out by input_key={','.join(rest[:20]) or '…'}"
        )
    try:
        values = np.asarray(found.data[:, names.index(column)], np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"column {column} of {name} holds no numbers; leave it out by input_key=…"
        ) from None
    lacking = (~np.isfinite(values)).sum()
    if lacking:
        raise InputError(
            f"column {column} of {name} lacks {lacking} of {len(values)} values; leave it "
            "out by input_key=…"
        )
    return values
