"""Any image-classification dataset of TensorFlow Datasets, by name.

A dataset prepared as ArrayRecord is read without TensorFlow. TensorFlow is needed to
prepare one, and to read one that was prepared as TFRecord.
"""

import difflib
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxmem._shared.files import local_path
from jaxmem.data.dataset import Dataset
from jaxmem.data.options import Options, only
from jaxmem.data.preparation import prepare
from jaxmem.data.rows import Row, Rows, Source
from jaxmem.data.splits import take_splits
from jaxmem.errors import InputError

INSTALL_HINT = "install TensorFlow for that: pip install tensorflow"
READ_ROWS = 100  # rows read at a time
NAMES = ("file_name", "filename", "image/filename", "id", "image_id")  # features


def load_tfds(name: str, options: Options) -> Dataset:
    """Load a dataset by its TFDS name, such as "mnist"; prepare it first if needed.

    Train is the split "train"; test is the first of "test" and "validation" whose labels
    are known. options: data_dir is a folder or a URL, splits may be TFDS's slices. Raises
    InputError for an unknown name, a dataset that cannot be prepared or read here, and one
    that is not image classification.
    """
    takes = "train_split", "test_split", "test_fraction", "input_key", "target_key"
    only(f"dataset {name!r}", options, "image_size", "skip_unreadable", *takes)
    builder = _builder(name, _data_dir(options.data_dir))
    image, label = _keys(builder, options)
    if not builder.is_prepared():
        _prepare(builder)
    what = f"dataset {builder.name!r} in {builder.data_path}"
    train, test = take_splits(
        what, list(builder.info.splits), lambda s: _rows(builder, s, image, label), options
    )
    pixels = builder.info.features[image]
    source = Source(
        name,
        train,
        test,
        _state(builder),
        tuple(builder.info.features[label].names),
        pixels.shape[2] if pixels.shape[2] in (1, 3) else None,
        builder.name,
    )
    return prepare(source, options)


def knows(name: str) -> bool:
    """Whether TFDS has a dataset of that name."""
    import tensorflow_datasets as tfds

    plain = name.split(":")[0].split("/")[0]
    return plain in tfds.list_builders(with_community_datasets=False)


def _data_dir(given: str | Path | None) -> str | None:
    """What TFDS takes; its own default where None."""
    if given is None:
        import tensorflow_datasets as tfds

        if tfds.core.constants.DATA_DIR.startswith("~"):
            raise InputError("you have no home folder with TFDS datasets; give data_dir=…")
        return None
    return str(given) if "://" in str(given) else str(local_path(given))


def _builder(name: str, data_dir: str | None):
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
            "dataset of TFDS (mnist, fashion_mnist, cifar10, …), hf:NAME, openml:NAME, and "
            "the path of a folder, an .npz, .csv or .parquet"
        ) from None
    except Exception as error:  # whatever a bad name or a damaged dataset_info.json end in
        where = data_dir or tfds.core.constants.DATA_DIR
        raise InputError(
            f"dataset {name!r} cannot be opened in {where}: {_first_line(error)}"
        ) from error


def _has_tensorflow() -> bool:
    return importlib.util.find_spec("tensorflow") is not None


def _prepare(builder) -> None:
    where = f"dataset {builder.name!r} is not prepared in {builder.data_path.parent}"
    if not _has_tensorflow():
        raise InputError(f"{where}; give the right data_dir=…, or {INSTALL_HINT}")
    try:
        builder.download_and_prepare()
    except Exception as error:  # whatever a download can end in
        raise InputError(
            f"{where}, and preparing it failed: {type(error).__name__}: "
            f"{_first_line(error)}"
        ) from error


def _keys(builder, options: Options) -> tuple[str, str]:
    """The names of the features that are the image and the label."""
    from tensorflow_datasets.core.features import ClassLabel, Image

    return (
        _key(builder, "input_key", options.input_key, Image, "an image"),
        _key(builder, "target_key", options.target_key, ClassLabel, "a class"),
    )


def _key(builder, option: str, asked: str | None, kind: type, words: str) -> str:
    features = builder.info.features
    fit = [name for name in features if isinstance(features[name], kind)]
    if asked is not None and asked in fit:
        return asked
    what = f"dataset {builder.name!r}"
    if asked is not None:
        raise InputError(
            f"{what} has no feature {asked!r} that is {words}, for {option}={asked}; there "
            f"is {', '.join(fit) or 'none'}"
        )
    usual = [key for key in builder.info.supervised_keys or () if key in fit]
    found = usual or fit
    if len(found) == 1:
        return found[0]
    if fit:
        raise InputError(f"{what} has {', '.join(fit)}: which is {words}? Give {option}=…")
    raise InputError(
        f"{what} is not image classification: none of its features "
        f"({', '.join(features)}) is {words}"
    )


def _rows(builder, split: str, image: str, label: str) -> Rows:
    """The rows of a split or slice, of which the images are not yet decoded."""
    try:
        count = builder.info.splits[split].num_examples
    except (KeyError, ValueError) as error:
        raise InputError(
            f"dataset {builder.name!r} has no split {split!r}: {_first_line(error)}"
        ) from None
    if not count:
        raise InputError(f"split {split!r} of dataset {builder.name!r} has no rows")
    features = builder.info.features
    named = next((key for key in NAMES if key in features), None)
    deep = features[image].np_dtype != np.uint8 or features[image].shape[2] not in (1, 3)

    def read(wanted: np.ndarray) -> Iterator[Row]:
        try:
            skip = None if deep else image  # the rest is left to TFDS
            found = _examples(builder, split, wanted, skip)
            for number, example in zip(wanted.tolist(), found, strict=True):
                name = example[named] if named else number
                name = name.decode() if isinstance(name, bytes) else str(name)
                yield Row(example[image], int(example[label]), name)
        except InputError:
            raise
        except Exception as error:  # whatever a damaged file ends in
            raise InputError(
                f"dataset {builder.name!r} cannot be read from {builder.data_path}: "
                f"{_first_line(error)}; if its files are damaged, delete that folder and "
                "have it prepared anew"
            ) from error

    return Rows(count, read)


def _examples(builder, split: str, wanted: np.ndarray, encoded: str | None) -> Iterator:
    """The examples of these rows; the image `encoded` stays the bytes that it is."""
    import tensorflow_datasets as tfds

    decoders = {encoded: tfds.decode.SkipDecoding()} if encoded else None
    if builder.info.file_format.value == "array_record":
        source = builder.as_data_source(split, decoders=decoders)
        for start in range(0, len(wanted), READ_ROWS):
            yield from source.__getitems__(wanted[start : start + READ_ROWS].tolist())
        return
    if not _has_tensorflow():
        raise InputError(
            f"dataset {builder.name!r} cannot be read from {builder.data_path}: it was "
            f"prepared as {builder.info.file_format.value}, which only TensorFlow reads; "
            f"{INSTALL_HINT}"
        )
    found = builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
    chosen = set(wanted.tolist())
    for row, example in enumerate(tfds.as_numpy(found)):
        if row in chosen:
            yield example


def _state(builder) -> str:
    """A hash that changes when the prepared files change."""
    files = sorted(builder.data_path.iterdir())
    state = [(f.name, f.stat().length, f.stat().mtime) for f in files]
    state = [builder.info.full_name, *state]
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")
