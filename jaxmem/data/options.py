"""How a source is to be read: the fields here are the arguments of `load_dataset`, and,
with their help, the flags of the commands."""

import dataclasses
from typing import Any

from jaxmem._shared.arguments import number, whole
from jaxmem.errors import InputError


def _option(default: Any, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class Options:
    """What the user said beside the name; None where nothing was said."""

    data_dir: str | None = _option(
        None,
        "where the source keeps its data: TFDS (default: ~/tensorflow_datasets), the "
        "Hugging Face cache, OpenML (default: ~/scikit_learn_data)",
    )
    image_size: int | None = _option(
        None,
        "height and width that images are brought to: the shorter side is scaled to it, "
        "then the centre is cut out; needed where sizes differ",
    )
    train_split: str | None = _option(
        None,
        "split, or with TFDS and hf: a slice such as train[:80%%], to train on "
        "(default: train)",
    )
    test_split: str | None = _option(
        None,
        "split or slice to test on (default: the first of test and validation whose "
        "labels are known)",
    )
    test_fraction: float | None = _option(
        None,
        "where there is only one split: the share of it, of each class alike, to test on",
    )
    input_key: str | None = _option(
        None,
        "field of the image, or columns of the features, as in a,b,c (default: the image, "
        "or every column but the label)",
    )
    target_key: str | None = _option(
        None, "field or column of the label (default: the only one, label, target or class)"
    )
    labels: str | None = _option(
        None,
        "CSV file with the labels of a folder of images: a row per image, by its file's "
        "name in --input-key and its class in --target-key",
    )
    skip_unreadable: bool = _option(
        False, "leave out, and count, images that cannot be read"
    )
    # The column of what each example belongs to: no flag of all commands, and in no cache.
    groups: str | None = dataclasses.field(default=None, repr=False)
    seed: int = 0  # of test_fraction; no flag, so that runs of several seeds share a split


def checked(options: Options) -> Options:
    """The same with numbers as Python's; raises InputError for what cannot be meant."""
    size, fraction = options.image_size, options.test_fraction
    if fraction is not None:
        fraction = number("test_fraction", fraction)
        if not 0 < fraction < 1:
            raise InputError(f"test_fraction {fraction:g} must be between 0 and 1")
        if options.test_split is not None:
            raise InputError(
                f"test_split={options.test_split} and test_fraction={fraction:g} both say "
                "what to test on; give one of them"
            )
    return dataclasses.replace(
        options,
        image_size=None if size is None else whole("image_size", size, least=1),
        test_fraction=fraction,
        seed=whole("seed", options.seed, least=0),
    )


def only(source: str, options: Options, *taken: str) -> None:
    """Raise InputError for an option that a source has no use for."""
    for field in dataclasses.fields(Options):
        value = getattr(options, field.name)
        idle = field.name in (*taken, "data_dir", "seed") or value in (None, False)
        if not idle:
            raise InputError(f"{source} has no use for {field.name}={value}; leave it out")
