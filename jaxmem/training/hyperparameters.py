"""What a learning algorithm is told: the fields of a recipe."""

import dataclasses
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np

from jaxmem._shared.arguments import number, whole
from jaxmem.errors import InputError

SMALL = 2000  # examples of a subset, below which the general recipe thinks smaller
RATE = 1e-3  # of other optimisers than SGD, where nobody says
# Fields that the first workdirs of format 3 lack, with what was done then.
LATER = {"optimizer_options": "", "resized_crop": 0.0, "train_size": 0}


def _field(default, text: str, by_size: str | None = None):
    """A field with its help; by_size: what the general recipe makes of it, in words."""
    return dataclasses.field(default=default, metadata={"help": text, "by size": by_size})


@dataclasses.dataclass(frozen=True, repr=False)
class Recipe:
    """Hyperparameters of the learning algorithm; every field is a flag of `jaxmem.run`.

    Data without a recipe of their own get `general_recipe`.
    """

    epochs: int = _field(30, "passes over the subset", "30, up to 200 for few examples")
    batch_size: int = _field(
        128, "examples a step", f"128, for fewer than {SMALL} examples 64"
    )
    optimizer: str = _field(
        "sgd",
        "SGD with plain or (nesterov) Nesterov's momentum, or any of Optax's by its name: "
        "adamw, lamb, lion, …",
    )
    optimizer_options: str = _field("", "its other arguments, as in b2=0.95,eps=1e-6")
    learning_rate: float = _field(
        0.1, f"at its peak; {RATE} for another --optimizer than the recipe's, but for SGD"
    )
    momentum: float = _field(
        0.9,
        "v = momentum * v + gradient, w = w - learning rate * v; b1 of Adam and its like",
    )
    schedule: Literal["constant", "linear"] = _field(
        "constant", "of the learning rate; linear: down to 0 at the end"
    )
    warmup: float = _field(
        0.0, "epochs in which the learning rate rises linearly", "a 20th of the epochs"
    )
    weight_decay: float = _field(
        0.0,
        "of the kernels: gradient += weight decay * kernel; of AdamW and its like: theirs",
        "0.3 / m for subsets of m examples",
    )
    label_smoothing: float = _field(
        0.0, "share of the target that is spread evenly over all classes"
    )
    crop: int = _field(
        0, "zero-pad by this many pixels, then crop at random to the original size"
    )
    resized_crop: float = _field(
        0.0,
        "crop at random to this share of the area at least, in an aspect ratio from 3/4 to "
        "4/3, and scale to --train-size or the original size; 0: do not",
    )
    train_size: int = _field(
        0,
        "height and width of what the network sees: of crops in training, else of the "
        "centre of images; 0: their own",
    )
    mirror: bool = _field(False, "exchange left and right of every other image, at random")
    precision: Literal["float32", "bfloat16"] = _field(
        "float32",
        "of products and activations; parameters, statistics and loss are float32",
    )
    hidden: tuple[int, ...] = _field(
        (512, 256),
        "widths of the hidden layers of an MLP, as in 512,256",
        f"512,256, for fewer than {SMALL} examples 192",
    )
    standardize: bool = _field(
        True,
        "give each channel of images, each feature of rows, mean 0 and variance 1 over the "
        "examples that a trial sees; else uint8 is divided by 255, all else taken as is",
    )

    def __repr__(self) -> str:
        # Default workdirs are named by it: they keep their names when fields are added.
        fields = vars(self).items()
        shown = (f"{k}={v!r}" for k, v in fields if k not in LATER or v != LATER[k])
        return f"Recipe({', '.join(shown)})"

    def warmup_steps(self, steps: int) -> int:
        """Steps of the warm-up, where an epoch has `steps`."""
        return round(self.warmup * steps)

    def validate(self) -> None:
        """Raises InputError for a value out of range."""

        def need(ok: bool, field: str, wanted: str) -> None:
            if not ok:
                value = getattr(self, field)
                raise InputError(f"{field.replace('_', ' ')} {value} must be {wanted}")

        need(self.epochs >= 1, "epochs", "at least 1")
        need(self.batch_size >= 1, "batch_size", "at least 1")
        need(0 < self.learning_rate < float("inf"), "learning_rate", "positive")
        need(0 <= self.momentum < 1, "momentum", "in [0, 1)")
        need(
            0 <= self.warmup < self.epochs,
            "warmup",
            f"at least 0 and less than the {self.epochs} epochs",
        )
        need(0 <= self.weight_decay < float("inf"), "weight_decay", "0 or positive")
        need(0 <= self.label_smoothing < 1, "label_smoothing", "in [0, 1)")
        need(self.crop >= 0, "crop", "0 or positive")
        need(0 <= self.resized_crop <= 1, "resized_crop", "in [0, 1]")
        both = self.crop and self.resized_crop
        need(not both, "resized_crop", f"0 where crop is {self.crop}")
        need(self.train_size >= 0, "train_size", "0 or positive")
        need(all(width >= 1 for width in self.hidden), "hidden", "widths of at least 1")
        for field in dataclasses.fields(self):
            if known := choices_of(field):
                wanted = f"one of {', '.join(known)}"
                need(getattr(self, field.name) in known, field.name, wanted)
        if self.optimizer == "nesterov":
            need(self.momentum > 0, "momentum", "positive for nesterov")


def choices_of(field: dataclasses.Field) -> tuple[str, ...] | None:
    """The words that a field of `Recipe` may be; None where it is no choice."""
    kind = get_type_hints(Recipe)[field.name]
    return get_args(kind) if get_origin(kind) is Literal else None


def parsed(field: dataclasses.Field, value):
    """A recipe's field as Python's own type; raises InputError for another kind."""
    name, kind = field.name.replace("_", " "), type(field.default)
    if kind is bool:
        if value not in (True, False):
            raise InputError(f"{name} {value!r} must be True or False")
        return bool(value)
    if kind is int:
        return whole(name, value)
    if kind is float:
        return number(name, value)
    if kind is tuple:
        return tuple(whole(name, width) for width in np.atleast_1d(value))
    if not isinstance(value, str):
        raise InputError(f"{name} {value!r} must be a word")
    return value
