"""A folder of x_train.npy, y_train.npy, x_test.npy, y_test.npy, mapped where they lie."""

from pathlib import Path
from typing import Any

from jaxmem._shared.files import read_npy
from jaxmem.data.dataset import Dataset, make_dataset
from jaxmem.data.options import Options, only
from jaxmem.errors import InputError

KEYS = ("x_train", "y_train", "x_test", "y_test")


def is_npy_folder(folder: Path) -> bool:
    """Whether a folder is meant as one of arrays."""
    return (folder / "x_train.npy").is_file()


def load_npy(folder: Path, class_names, options: Options) -> Dataset:
    """The four arrays, and class_names.npy, train_names.npy, test_names.npy where they are.

    uint8, float32 and bool that lie row by row (C order) stay on disk; other numbers are
    converted in memory. class_names: what to take where there is no such file. Raises
    InputError for what is missing or malformed.
    """
    only(f"folder {folder}", options)
    missing = [key for key in KEYS if not (folder / f"{key}.npy").is_file()]
    if missing:
        raise InputError(f"{folder} has x_train.npy, but lacks {missing[0]}.npy")
    arrays = {
        key: read_npy(folder / f"{key}.npy")
        for key in ("class_names", "train_names", "test_names", *KEYS)
        if (folder / f"{key}.npy").is_file()
    }
    given: dict[str, Any] = {"class_names": class_names, **arrays}
    try:
        return make_dataset(folder.resolve().name, **given)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
