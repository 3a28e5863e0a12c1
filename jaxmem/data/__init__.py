"""Where examples come from: one source a file, all giving `Dataset(train, test)`."""

import os
from collections.abc import Sequence
from pathlib import Path

from jaxmem.data.dataset import (
    Dataset,
    Duplicates,
    Examples,
    class_gaps,
    count_duplicates,
    make_dataset,
)
from jaxmem.data.digits import load_digits
from jaxmem.data.images import content_ids
from jaxmem.data.npz import load_npz
from jaxmem.data.tfds import load_tfds


def load_dataset(
    name: str | Path, data_dir: str | Path | None = None, class_names: Sequence[str] = ()
) -> Dataset:
    """Load "digits", a path that ends in .npz, or a TFDS dataset by name.

    data_dir is where TFDS keeps prepared datasets (its default: ~/tensorflow_datasets).
    class_names: of an .npz that names none; then it need not have examples of each.
    Raises InputError where that cannot be done, saying why.
    """
    name = os.fspath(name)
    if name == "digits":
        return load_digits()
    if name.lower().endswith(".npz"):
        return load_npz(name, class_names)
    return load_tfds(name, data_dir)


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
