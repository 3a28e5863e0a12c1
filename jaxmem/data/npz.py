"""A user's own arrays: an .npz file with x_train, y_train, x_test, y_test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmem._shared.files import read_npz
from jaxmem.data.dataset import Dataset, make_dataset
from jaxmem.data.options import Options, only
from jaxmem.errors import InputError

KEYS = ("x_train", "y_train", "x_test", "y_test")
# What others call them, in lower case and without "_".
ALIASES = {
    "x_train": ("xtrain", "trainx", "trainimages", "traindata", "xtr"),
    "y_train": ("ytrain", "trainy", "trainlabels", "traintargets", "ytr"),
    "x_test": ("xtest", "testx", "testimages", "testdata", "xte"),
    "y_test": ("ytest", "testy", "testlabels", "testtargets", "yte"),
}


MORE = ("class_names", "train_names", "test_names")


def load_npz(path: Path, class_names: Sequence[str], options: Options) -> Dataset:
    """Load an .npz file of the four arrays, and of text where it has it.

    That is class_names [K], and names of the examples: train_names [N], test_names [E];
    options.groups names the array [N] of what each training example belongs to.
    class_names: what to take where it has none. Raises InputError if it cannot be read or
    is malformed.
    """
    only(f"file {path}", options, "groups")
    asked = [options.groups] if options.groups else []
    arrays = read_npz(path, (*KEYS, *MORE, *asked))
    missing = [key for key in KEYS if key not in arrays]
    groups = arrays.pop(options.groups, None) if options.groups else None
    if missing or (asked and groups is None):
        with np.load(path) as file:
            if missing:
                raise InputError(_way_out(path, missing, sorted(file)))
            raise InputError(
                f"{path} has no array {options.groups!r}; give groups=… one of "
                f"{', '.join(sorted(file))}"
            )
    given: dict[str, Any] = {"class_names": class_names, **arrays}
    try:
        return make_dataset(path.stem, **given)._replace(groups=groups)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _way_out(path: Path, missing: list[str], found: list[str]) -> str:
    lacks = f"{path} lacks {', '.join(missing)}; "
    names = {key: _found_as(key, found) for key in KEYS}
    if None in names.values():
        return f"{lacks}it holds {', '.join(found) or 'nothing'}"
    new = ", ".join(f"{key}=f[{name!r}]" for key, name in names.items())
    return (
        f"{lacks}rename them: f = np.load({path.name!r}); "
        f"np.savez({f'{path.stem}-renamed.npz'!r}, {new})"
    )


def _found_as(key: str, found: list[str]) -> str | None:
    if key in found:
        return key
    return next((n for n in found if n.lower().replace("_", "") in ALIASES[key]), None)
