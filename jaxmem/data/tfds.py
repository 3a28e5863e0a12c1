"""Any image-classification dataset of TensorFlow Datasets, by name.

A dataset prepared as ArrayRecord is read without TensorFlow. TensorFlow is needed to
prepare one, and to read one that was prepared as TFRecord. Decoded arrays are cached, so
that only the first start decodes.
"""

import difflib
import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from jaxmem._shared.cache import cache_dir
from jaxmem._shared.devices import aligned
from jaxmem._shared.files import local_path, read_npz, replacing
from jaxmem._shared.progress import progress
from jaxmem.data.dataset import Dataset, Examples, make_dataset
from jaxmem.errors import InputError

INSTALL_HINT = "install TensorFlow for that: pip install tensorflow"
READ_ROWS = 1000  # rows decoded at a time


def load_tfds(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Load a dataset by its TFDS name, such as "mnist"; prepare it first if needed.

    Train is the split "train"; test is "test" or, where there is none, "validation".
    data_dir is a folder or a URL. Raises InputError for an unknown name, a dataset that
    cannot be prepared or read here, and one that is not image classification with images of
    one size.
    """
    builder = _builder(name, _data_dir(data_dir))
    keys = _keys(builder)
    if not builder.is_prepared():
        _prepare(builder)
    splits = _splits(builder)
    cached = cache_dir() / "data" / f"{builder.name}-{_state(builder)}.npz"
    try:
        data = _read_cache(cached, name)
    except Exception:  # absent, damaged, or written by another version: decode anew
        data = _decode_all(builder, name, splits, keys)
        _write_cache(cached, data)
    return data._replace(recipes=builder.name)


def _data_dir(given: str | Path | None) -> str | None:
    """What TFDS takes; its own default where None."""
    if given is None:
        import tensorflow_datasets as tfds

        if tfds.core.constants.DATA_DIR.startswith("~"):
            raise InputError("you have no home folder with TFDS datasets; give --data-dir")
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
            "dataset of TFDS (mnist, fashion_mnist, cifar10, cifar100, …) and a path to "
            "your own .npz"
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


def _splits(builder) -> tuple[str, str]:
    """The names of the splits for training and testing."""
    found = builder.info.splits
    test = next((s for s in ("test", "validation") if s in found), None)
    if "train" not in found or test is None:
        raise InputError(
            f"dataset {builder.name!r} in {builder.data_path} has "
            f"{'splits ' + ', '.join(found) if found else 'no splits'}; "
            "jaxmem needs train, and test or validation"
        )
    return "train", test


def _decode_all(builder, name: str, splits, keys) -> Dataset:
    label = builder.info.features[keys[1]]
    try:
        arrays = [array for split in splits for array in _decode(builder, split, *keys)]
        return make_dataset(name, *arrays, label.num_classes, label.names)
    except InputError as error:
        raise InputError(f"dataset {name!r}: {error}") from None
    except Exception as error:  # whatever a damaged file ends in
        raise InputError(
            f"dataset {name!r} cannot be read from {builder.data_path}: "
            f"{_first_line(error)}; if its files are damaged, delete that folder and have "
            "it prepared anew"
        ) from error


def _decode(builder, split: str, image_key: str, label_key: str):
    """All rows of a split: images [R, H, W, C] and labels [R]."""
    rows = builder.info.splits[split].num_examples
    images = np.empty(
        (rows, *builder.info.features[image_key].shape),
        builder.info.features[image_key].np_dtype,
    )
    labels = np.empty(rows, np.int32)
    row = -1
    with progress(f"decoding {builder.name} {split}", rows, "rows") as bar:
        for row, example in enumerate(_examples(builder, split, rows)):
            images[row], labels[row] = example[image_key], example[label_key]
            bar.update()
    if row + 1 < rows:
        raise ValueError(f"{split} has {row + 1} rows, but should have {rows}")
    return images, labels


def _examples(builder, split: str, rows: int):
    if builder.info.file_format.value == "array_record":
        source = builder.as_data_source(split)
        for start in range(0, rows, READ_ROWS):
            yield from source.__getitems__(list(range(start, min(start + READ_ROWS, rows))))
        return
    if not _has_tensorflow():
        raise InputError(
            "it was prepared as "
            f"{builder.info.file_format.value}, which only TensorFlow reads; {INSTALL_HINT}"
        )
    import tensorflow_datasets as tfds

    yield from tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False))


def _state(builder) -> str:
    """A hash that changes when the prepared files change."""
    files = sorted(builder.data_path.iterdir())
    state = [(f.name, f.stat().length, f.stat().mtime) for f in files]
    state = [builder.info.full_name, *state]
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def _read_cache(path: Path, name: str) -> Dataset:
    """What was kept; raises whatever a damaged or foreign file ends in."""
    found = read_npz(path)
    train, test = (
        Examples(*(aligned(found[f"{split}_{part}"]) for part in Examples._fields))
        for split in ("train", "test")
    )
    names = tuple(found["class_names"].tolist())
    data = Dataset(name, train, test, int(found["num_classes"]), names)
    if not _is_whole(data):
        raise ValueError(f"{path} is no dataset")
    return data


def _is_whole(data: Dataset) -> bool:
    """Whether what was kept fits together; the zip's checksums vouch for the rest."""
    shape, dtype = data.train.images.shape[1:], data.train.images.dtype
    return (
        len(shape) == 3
        and len(data.class_names) in (0, data.num_classes)
        and all(
            split.images.shape == (split.ids.size, *shape)
            and split.images.dtype == dtype
            and split.labels.shape == split.ids.shape
            and (split.labels.dtype, split.ids.dtype) == (np.int32, np.dtype("U16"))
            and 0 <= split.labels.min() <= split.labels.max() < data.num_classes
            for split in (data.train, data.test)
        )
    )


def _write_cache(path: Path, data: Dataset) -> None:
    arrays = {
        f"{split}_{part}": values
        for split in ("train", "test")
        for part, values in getattr(data, split)._asdict().items()
    }
    names = np.array(data.class_names, dtype=str)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            np.savez(partial, num_classes=data.num_classes, class_names=names, **arrays)
    except (OSError, InputError):
        pass  # a cache that cannot be written is no error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")
