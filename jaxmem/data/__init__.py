"""Where examples come from: one source a file, all giving `Dataset(train, test)`."""

import os
from collections.abc import Sequence
from pathlib import Path

from jaxmem._shared.files import local_path
from jaxmem.data.dataset import (
    Dataset,
    Duplicates,
    Examples,
    class_gaps,
    count_duplicates,
    make_dataset,
)
from jaxmem.data.digits import load_digits
from jaxmem.data.folders import load_folder
from jaxmem.data.hub import load_hub
from jaxmem.data.images import content_ids
from jaxmem.data.npy import is_npy_folder, load_npy
from jaxmem.data.npz import load_npz
from jaxmem.data.openml import load_openml
from jaxmem.data.options import Options, checked
from jaxmem.data.tables import load_table
from jaxmem.data.tfds import knows, load_tfds
from jaxmem.errors import InputError

FILES = {".npz": load_npz, ".csv": load_table, ".parquet": load_table}  # by their endings


def load_dataset(
    name: str | Path,
    data_dir: str | Path | None = None,
    class_names: Sequence[str] = (),
    *,
    image_size: int | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    test_fraction: float | None = None,
    input_key: str | None = None,
    target_key: str | None = None,
    labels: str | Path | None = None,
    skip_unreadable: bool = False,
    groups: str | None = None,
    seed: int = 0,
) -> Dataset:
    """Load a dataset by its name, path or address.

    Args:
      name: one of
        "digits", scikit-learn's;
        a folder of images, in class folders or with metadata.csv (`data.folders`), or of
        x_train.npy, y_train.npy, x_test.npy and y_test.npy (`data.npy`);
        a path that ends in .npz, .csv or .parquet;
        "hf:NAME" or "hf:NAME/CONFIG", through `datasets`;
        "openml:NAME" or "openml:NUMBER";
        else a name of TFDS, such as "mnist", "mnist:3.0.1" or "emnist/letters".
        Where a name is both TFDS's and a folder's here, "./mnist" is the folder.
      data_dir: where the source keeps its data: TFDS (default: ~/tensorflow_datasets),
        the cache of Hugging Face, OpenML (default: ~/scikit_learn_data).
      class_names: the classes in their order, of sources that do not number them; then
        not all need have examples.
      image_size: images are scaled so that their shorter side is this, and the centre
        square of them is taken. Needed where sizes differ.
      train_split: of TFDS and hf: also a slice, "train[:80%]". Default: train.
      test_split: likewise. Default: the first of test and validation whose labels are
        known.
      test_fraction: share of the training split to test on instead, of each class alike.
      input_key: the field or column of the image, or features, where it is not clear.
      target_key: likewise, of the label.
      labels: a CSV file of a folder of images: file names in input_key, classes in
        target_key.
      groups: the column, or in an .npz file the array [N], of what each training example
        belongs to, such as a patient: `Dataset.groups`, for `run_trials(groups=)`.
      skip_unreadable: leave out images that cannot be read, and count them.
      seed: of the choice that test_fraction makes.

    Returns:
      Images that had to be decoded lie in the cache (`jaxmem.data.prepared`) and are
      mapped: they take no memory of their own.

    Raises:
      InputError: where that cannot be done, saying why; then nothing is left behind.
    """
    options = checked(
        Options(
            None if data_dir is None else os.fspath(data_dir),
            image_size,
            train_split,
            test_split,
            test_fraction,
            input_key,
            target_key,
            None if labels is None else os.fspath(labels),
            bool(skip_unreadable),
            groups,
            seed,
        )
    )
    name = os.fspath(name)
    source = {"name": name, "class_names": tuple(class_names), **vars(options)}
    return _load(name, class_names, options)._replace(source=source)


def _load(name: str, class_names: Sequence[str], options: Options) -> Dataset:
    if name == "digits":
        return load_digits(options)
    if name.startswith("hf:"):
        return load_hub(name, class_names, options)
    if name.startswith("openml:"):
        return load_openml(name, class_names, options)
    ending = os.path.splitext(name)[1].lower()
    if ending in FILES:
        return FILES[ending](local_path(name), class_names, options)
    folder = _folder(name)
    if folder is None:
        return load_tfds(name, options)
    load = load_npy if is_npy_folder(folder) else load_folder
    return load(folder, class_names, options)


def _folder(name: str) -> Path | None:
    """The folder that is meant; None where it is a name of TFDS."""
    said = name.startswith((".", "/", "~"))  # as no name of TFDS does
    if "://" in name and not said:
        return None
    folder = local_path(name)
    if folder.is_dir() and name and (said or not knows(name)):
        return folder
    if folder.is_file():
        raise InputError(
            f"{name} is a file of no known kind; give a folder, or a file that ends in "
            f"{', '.join(FILES)}"
        )
    if said:
        raise InputError(f"there is no folder {folder}")
    return None


__all__ = [
    "Dataset",
    "Duplicates",
    "Examples",
    "class_gaps",
    "content_ids",
    "count_duplicates",
    "load_dataset",
    "make_dataset",
]
