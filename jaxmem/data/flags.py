"""The flags by which commands take a dataset, and the dataset that they mean."""

import argparse
import dataclasses
import re
from collections.abc import Sequence

from jaxmem.data import Dataset, load_dataset
from jaxmem.data.options import Options
from jaxmem.errors import InputError

FIELDS = [field for field in dataclasses.fields(Options) if field.metadata]
SOURCES = (
    "digits; a name of TFDS (mnist, fashion_mnist, cifar10, …); a folder of images, or of "
    "x_train.npy, y_train.npy, x_test.npy, y_test.npy; the path of an .npz, .csv or "
    ".parquet; hf:NAME of the Hugging Face hub; openml:NAME"
)


def add_data_flags(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add --dataset and what says how to read it; without a default it must be given."""
    add = parser.add_argument_group("data").add_argument
    more = f" (default: {default})" if default else ""
    add("--dataset", default=default, required=default is None, help=SOURCES + more)
    for field in FIELDS:
        flag, text = _flag(field.name), field.metadata["help"]
        if field.default is False:
            add(flag, action="store_true", help=text)
        else:
            kind = {"image_size": int, "test_fraction": float}.get(field.name, str)
            add(flag, type=kind, help=text)


def take_dataset(
    arguments: dict, class_names: Sequence[str] = (), groups: str | None = None
) -> Dataset:
    """The dataset that parsed flags mean; these are taken out of `arguments`.

    groups: the column that has them, if one does. Raises InputError as `load_dataset`,
    which speaks of flags.
    """
    name = arguments.pop("dataset")
    said = {field.name: arguments.pop(field.name) for field in FIELDS}
    try:
        return load_dataset(name, class_names=class_names, groups=groups, **said)
    except InputError as error:
        raise InputError(_of_flags(str(error))) from error


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _of_flags(text: str) -> str:
    """A message about arguments of Python as one about the command's flags."""
    for field in FIELDS:
        # `labels` alone is a word; the others are not.
        name = field.name if "_" in field.name else f"{field.name}(?==)"
        end = "(=True)?" if field.default is False else ""
        text = re.sub(rf"(?<![\w/.-]){name}{end}(?![\w/.-])", _flag(field.name), text)
    return text
