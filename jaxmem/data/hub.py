"""Datasets of the Hugging Face hub, or of local folders and files, through `datasets`."""

import contextlib
import hashlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxmem._shared.files import local_path, reason
from jaxmem._shared.progress import watched
from jaxmem.data.columns import LABELS, column, features, group_column, text_labels
from jaxmem.data.dataset import Dataset
from jaxmem.data.options import Options, only
from jaxmem.data.preparation import prepare
from jaxmem.data.rows import Row, Rows, Source, check_classes, listed_rows
from jaxmem.data.splits import take_splits
from jaxmem.data.tables import from_rows
from jaxmem.errors import InputError

READ_ROWS = 100  # rows read at a time
NAMES = ("file_name", "filename", "image_id", "id")  # columns


def load_hub(name: str, class_names: Sequence[str], options: Options) -> Dataset:
    """Load hf:OWNER/NAME, hf:OWNER/NAME/CONFIG, or hf: and the path of a local folder.

    Images are decoded by us; a column of vectors, or columns of numbers, are rows [D].
    options: splits may be slices of `datasets`; data_dir is its cache. Raises InputError
    for what cannot be loaded, and where it is not clear which columns are meant.
    """
    takes = (
        "train_split",
        "test_split",
        "test_fraction",
        "input_key",
        "target_key",
        "groups",
    )
    only(name, options, "image_size", "skip_unreadable", *takes)
    sets = _load(name, options)
    used = {}

    def open_split(split: str) -> Rows:
        data = sets[split] if split in sets else _load(name, options, split)
        used[split] = data._fingerprint
        return _rows(f"{name} ({split})", data, options)

    train, test = take_splits(name, list(sets), open_split, options)
    first = next(iter(sets.values()))
    names = _named_classes(first, _target(name, first, options))
    if not names:
        check_classes(train, test)
    title, recipes = _title(name)
    if _image_column(name, first, options) is None:
        data = from_rows(title, train, test, names or class_names)
        return data._replace(recipes=recipes)
    state = hashlib.sha256(repr(sorted(used.items())).encode()).hexdigest()
    names = names or tuple(class_names)
    return prepare(Source(title, train, test, state, names, None, recipes), options)


def _title(name: str) -> tuple[str, str | None]:
    """What it is called, and whose recipes are for it: mnist's for ylecun/mnist."""
    text = name.removeprefix("hf:")
    folder = local_path(text)
    if folder.exists():
        return folder.resolve().name, None
    return text, text.split("/")[:2][-1]


def _load(name: str, options: Options, split: str | None = None) -> Any:
    """All splits by their names, or the one that is asked for."""
    try:
        import datasets
    except ImportError:
        raise InputError(f"{name} needs a library: pip install 'jaxmem[hf]'") from None
    text = name.removeprefix("hf:")
    folder, config = local_path(text), None
    if folder.exists():
        text = str(folder)
    elif text.count("/") == 2:
        text, _, config = text.rpartition("/")
    try:
        with _quiet():
            return datasets.load_dataset(
                text, config, split=split, cache_dir=options.data_dir
            )
    except Exception as error:  # whatever a name, a network or a file can end in
        raise InputError(_refusal(name, split, error)) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings of what ends well, or else in an error; bars where one watches."""
    import datasets

    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    as_it_is = datasets.are_progress_bars_disabled() or watched()
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        if not as_it_is:
            datasets.disable_progress_bars()
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if not as_it_is:
            datasets.enable_progress_bars()


def _refusal(name: str, split: str | None, error: Exception) -> str:
    said = reason(error)
    if isinstance(error, ConnectionError):
        return (
            f"{name} is not in the cache of `datasets`, and the hub cannot be reached "
            f"({said}); give data_dir=… with a cache that has it, or hf: and the path of "
            "a local copy"
        )
    which = f"split {split!r} of {name}" if split else name
    return f"{which} cannot be loaded: {said}"


def _rows(source: str, data: Any, options: Options) -> Rows:
    """The rows of a split, of which images are not yet decoded."""
    if not len(data):
        raise InputError(f"{source} has no rows")
    target = _target(source, data, options)
    labels = np.array(data[target])
    if not _named_classes(data, target):
        labels = text_labels(f"column {target} of {source}", labels)
    key, groups = _image_column(source, data, options), None
    if options.groups is not None:
        table = data.select_columns([k for k in data.column_names if k != key])
        groups = group_column(source, table.with_format("arrow")[:], options.groups)
    if key is None:
        table = data.with_format("arrow")[:]
        x = features(source, table, options.input_key, target, options.groups)
        names = [str(row) for row in range(len(data))]
        return listed_rows(list(x), labels, names, groups)
    return _image_rows(source, data, key, labels)._replace(groups=groups)


def _image_rows(source: str, data: Any, key: str, labels: np.ndarray) -> Rows:
    import datasets

    named = next((column for column in NAMES if column in data.column_names), None)
    kept = [key, *([named] if named else [])]
    data = data.select_columns(kept).cast_column(key, datasets.Image(decode=False))

    def read(wanted: np.ndarray) -> Iterator[Row]:
        for start in range(0, len(wanted), READ_ROWS):
            numbers = wanted[start : start + READ_ROWS]
            batch = data[numbers.tolist()]
            for at, number in enumerate(numbers.tolist()):
                image = batch[key][at]
                name = batch[named][at] if named else image["path"] or number
                content = image["bytes"] or local_path(image["path"])
                yield Row(content, labels[number].item(), str(name))

    return Rows(len(data), read, labels)


def _image_column(source: str, data: Any, options: Options) -> str | None:
    """The column of the image; None where the examples are rows of numbers."""
    import datasets

    images = [k for k, kind in data.features.items() if isinstance(kind, datasets.Image)]
    if options.input_key in images:
        return options.input_key
    if options.input_key is not None or not images:
        return None
    if len(images) > 1:
        raise InputError(f"{source} has images {', '.join(images)}; give input_key=…")
    return images[0]


def _target(source: str, data: Any, options: Options) -> str:
    """The column of the label: the one asked for, the only class, or one called so."""
    classes = [k for k in data.features if _named_classes(data, k)]
    if options.target_key is None and len(classes) == 1:
        return classes[0]
    if options.target_key is None and len(classes) > 1 and "label" not in classes:
        raise InputError(f"{source} has labels {', '.join(classes)}; give target_key=…")
    return column(source, data, options.target_key, LABELS, "target_key", "the label")


def _named_classes(data: Any, key: str) -> tuple[str, ...]:
    import datasets

    kind = data.features[key]
    return tuple(kind.names) if isinstance(kind, datasets.ClassLabel) else ()
