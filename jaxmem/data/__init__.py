"""Where examples come from: one source a file, all giving `Dataset(train, test)`."""

from pathlib import Path

from jaxmem.data.dataset import (
    Dataset,
    Duplicates,
    Examples,
    count_duplicates,
    make_dataset,
)
from jaxmem.data.digits import load_digits
from jaxmem.data.npz import load_npz
from jaxmem.data.tfds import load_tfds


def load_dataset(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Load "digits", a path that ends in .npz, or a TFDS dataset by name.

    data_dir is where TFDS keeps prepared datasets (its default: ~/tensorflow_datasets).
    Raises InputError where that cannot be done, saying why.
    """
    if name == "digits":
        return load_digits()
    if str(name).endswith(".npz"):
        return load_npz(name)
    return load_tfds(name, data_dir)


__all__ = [
    "Dataset",
    "Duplicates",
    "Examples",
    "count_duplicates",
    "load_dataset",
    "make_dataset",
]
