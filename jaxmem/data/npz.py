"""A user's own arrays: an .npz file with x_train, y_train, x_test, y_test."""

import zipfile
from pathlib import Path

import numpy as np

from jaxmem.data.dataset import Dataset, make_dataset
from jaxmem.errors import InputError

KEYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: str | Path) -> Dataset:
    """Load an .npz file; raises InputError if it cannot be read or is malformed."""
    path = Path(path)
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            missing = [key for key in KEYS if key not in file]
            if missing:
                raise InputError(
                    f"{path} lacks {', '.join(missing)}; it holds "
                    f"{', '.join(sorted(file)) or 'nothing'}"
                )
            arrays = [file[key] for key in KEYS]
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no readable .npz file: {error}") from error
    try:
        return make_dataset(path.stem, *arrays)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
