"""Any image-classification dataset of TensorFlow Datasets, by name.

A dataset prepared as ArrayRecord is read without TensorFlow. TensorFlow is needed to
prepare one, and to read one that was prepared as TFRecord. Decoded arrays are cached, so
that only the first start decodes.
"""

import difflib
import hashlib
import importlib.util
import os
from pathlib import Path

import numpy as np

from jaxmem.cache import cache_dir
from jaxmem.data.dataset import Dataset, Examples, make_dataset
from jaxmem.errors import InputError
from jaxmem.progress import progress

INSTALL_HINT = "install TensorFlow for that: pip install tensorflow"
READ_ROWS = 1000  # rows decoded at a time


def load_tfds(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Load a dataset by its TFDS name, such as "mnist"; prepare it first if needed.

    Train is the split "train"; test is "test" or, where there is none, "validation".
    Raises InputError for an unknown name, a dataset that cannot be prepared or read here,
    and one that is not image classification with images of one size.
    """
    builder = _builder(name, data_dir)
    if not builder.is_prepared():
        _prepare(builder)
    image_key, label_key = _keys(builder)
    splits = builder.info.splits
    test = next((s for s in ("test", "validation") if s in splits), None)
    if "train" not in splits or test is None:
        raise InputError(
            f"dataset {name!r} has splits {', '.join(splits)}; "
            "jaxmem needs train, and test or validation"
        )
    cached = cache_dir() / "data" / f"{name.replace('/', '-')}-{_state(builder)}.npz"
    try:
        return _read_cache(cached, name)
    except (OSError, ValueError, KeyError):
        pass  # absent, or written by another version: decode anew
    arrays = []
    for split in ("train", test):
        arrays += _decode(builder, split, image_key, label_key)
    classes = builder.info.features[label_key].num_classes
    data = make_dataset(name, *arrays, num_classes=classes)
    _write_cache(cached, data)
    return data


def _builder(name: str, data_dir):
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=data_dir)
        if not builder.is_prepared():
            # What is prepared here shall be readable without TensorFlow.
            builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
        return builder
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise InputError(
            f"unknown dataset {name!r}: {hint}known are digits, any image-classification "
            "dataset of TFDS (mnist, fashion_mnist, cifar10, cifar100, …) and a path to "
            "your own .npz"
        ) from None
    except (ValueError, AssertionError) as error:
        raise InputError(f"dataset {name!r}: {_first_line(error)}") from error


def _has_tensorflow() -> bool:
    return importlib.util.find_spec("tensorflow") is not None


def _prepare(builder) -> None:
    where = f"dataset {builder.name!r} is not prepared in {builder.data_path.parent}"
    if not _has_tensorflow():
        raise InputError(f"{where}; give the right --data-dir, or {INSTALL_HINT}")
    try:
        builder.download_and_prepare()
    except Exception as error:  # whatever a download can end in
        raise InputError(
            f"{where}, and preparing it failed: {type(error).__name__}: "
            f"{_first_line(error)}"
        ) from error


def _keys(builder) -> tuple[str, str]:
    import tensorflow_datasets as tfds

    keys = builder.info.supervised_keys
    features = builder.info.features
    if (
        keys is None
        or len(keys) != 2
        or not isinstance(features[keys[0]], tfds.features.Image)
        or not isinstance(features[keys[1]], tfds.features.ClassLabel)
    ):
        raise InputError(
            f"dataset {builder.name!r} is not image classification: "
            f"its supervised keys are {keys}"
        )
    if None in features[keys[0]].shape:
        raise InputError(
            f"dataset {builder.name!r} has images of different sizes "
            f"{features[keys[0]].shape}; save it as .npz with images of one size"
        )
    return keys


def _decode(builder, split: str, image_key: str, label_key: str):
    """All rows of a split: images [R, H, W, C] and labels [R]."""
    rows = builder.info.splits[split].num_examples
    images = np.empty(
        (rows, *builder.info.features[image_key].shape),
        builder.info.features[image_key].np_dtype,
    )
    labels = np.empty(rows, np.int32)
    with progress(f"decoding {builder.name} {split}", rows, "rows") as bar:
        for row, example in enumerate(_examples(builder, split, rows)):
            images[row], labels[row] = example[image_key], example[label_key]
            bar.update()
    return images, labels


def _examples(builder, split: str, rows: int):
    if builder.info.file_format.value == "array_record":
        source = builder.as_data_source(split)
        for start in range(0, rows, READ_ROWS):
            yield from source.__getitems__(list(range(start, min(start + READ_ROWS, rows))))
        return
    if not _has_tensorflow():
        raise InputError(
            f"dataset {builder.name!r} was prepared as "
            f"{builder.info.file_format.value}, which only TensorFlow reads; {INSTALL_HINT}"
        )
    import tensorflow_datasets as tfds

    yield from tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False))


def _state(builder) -> str:
    """A hash that changes when the prepared files change."""
    files = sorted(Path(builder.data_path).iterdir())
    state = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def _read_cache(path: Path, name: str) -> Dataset:
    with np.load(path) as file:
        train, test = (
            Examples(*(file[f"{split}_{part}"] for part in Examples._fields))
            for split in ("train", "test")
        )
        return Dataset(name, train, test, int(file["num_classes"]))


def _write_cache(path: Path, data: Dataset) -> None:
    arrays = {
        f"{split}_{part}": values
        for split in ("train", "test")
        for part, values in getattr(data, split)._asdict().items()
    }
    partial = path.with_suffix(f".{os.getpid()}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(partial, num_classes=data.num_classes, **arrays)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)  # a cache that cannot be written is no error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")
