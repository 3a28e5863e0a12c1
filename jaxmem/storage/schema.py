"""What a trial stores: the one table that the store, its readers and the docs are made of.

A new quantity is a row here and a function of its name in `training.outcomes`.
"""

import math
from typing import NamedTuple

import numpy as np

MISSING, FINISHED, DIVERGED = 0, 1, 2  # of `status`
BY_STORE = ("status", "layout")  # written by the store; the others are a trial's outcomes


class Sizes(NamedTuple):
    """How long the axes of a run's arrays are."""

    train: int  # N
    test: int  # E
    classes: int  # K
    excluded: int  # examples that a trial does not see, at most
    queries: int = 0  # copies of an example that models are asked about

    def along(self, axis: str) -> int:
        """The length of an axis of `Quantity.axes`."""
        name, _, packed = axis.partition(" ")
        size = getattr(self, name)
        return -(-size // 8) if packed else size


class Quantity(NamedTuple):
    """An array with a row for each trial."""

    name: str
    dtype: str  # of NumPy; "class": the smallest unsigned one that holds a class
    axes: tuple[str, ...]  # of a row: fields of `Sizes`; "… bits": packed, first highest
    doc: str
    when: str | None = None  # the field of RunConfig that asks for it; None: always

    def dtype_of(self, sizes: Sizes) -> np.dtype:
        """The dtype in a run of these sizes."""
        if self.dtype == "class":
            return np.dtype(np.uint8 if sizes.classes <= 256 else np.uint16)
        return np.dtype(self.dtype)

    def row_shape(self, sizes: Sizes) -> tuple[int, ...]:
        """The shape of a row in a run of these sizes."""
        return tuple(map(sizes.along, self.axes))

    def row_bytes(self, sizes: Sizes) -> int:
        """The size of a row, before compression."""
        return math.prod(self.row_shape(sizes)) * self.dtype_of(sizes).itemsize

    @property
    def fill(self) -> int | str:
        """What stands in the row of a trial that is missing."""
        return "NaN" if self.dtype.startswith("float") else 0


_ROWS = (
    Quantity("included", "uint8", ("train bits",), "training examples that the trial saw"),
    Quantity("train_correct", "uint8", ("train bits",), "those that it gets right"),
    Quantity("test_correct", "uint8", ("test bits",), "test examples that it gets right"),
    Quantity("train_accuracy", "float32", (), "accuracy over the examples that it saw"),
    Quantity("test_accuracy", "float32", (), "accuracy over the test examples"),
    Quantity("final_loss", "float32", (), "mean cross-entropy of what it saw, nats"),
    Quantity("status", "uint8", (), "0 missing, 1 finished, 2 diverged; written last"),
    Quantity(
        "layout",
        "uint16",
        (),
        "number, from 1, of the layout in plan.json that it was trained with; 0 unknown",
        when="trained",
    ),
    Quantity(
        "train_predicted",
        "class",
        ("train",),
        "class that it names minus the label, modulo the number of classes",
        when="trained",
    ),
    Quantity("test_predicted", "class", ("test",), "the same", when="trained"),
    Quantity(
        "train_margin",
        "float16",
        ("train",),
        "logit of the label minus log-sum-exp of the others",
        when="margins",
    ),
    Quantity("test_margin", "float16", ("test",), "the same", when="margins"),
    Quantity(
        "test_highest_margin",
        "float16",
        ("test",),
        "logit of the label minus the highest other",
        when="highest_margins",
    ),
    Quantity(
        "train_query_margin",
        "float16",
        ("queries", "train"),
        "`train_margin` of the copies: the mirror image, shifts by a pixel, both",
        when="queries",
    ),
    Quantity(
        "held_out_probability",
        "float16",
        ("excluded", "classes"),
        "class probabilities of the examples that it did not see, in the order of rows",
        when="probabilities",
    ),
    Quantity(
        "cumulative_loss",
        "float16",
        ("train",),
        "sum over the epochs of the cross-entropy that training saw, nats; this and the "
        "next are 0 of examples that it did not see",
        when="dynamics",
    ),
    Quantity(
        "mean_training_margin",
        "float16",
        ("train",),
        "mean over the epochs of the logit of the label minus the highest other (AUM)",
        when="dynamics",
    ),
    Quantity(
        "epochs_correct",
        "uint16",
        ("train",),
        "epochs in which training got it right",
        when="dynamics",
    ),
    Quantity(
        "forgetting_events",
        "uint16",
        ("train",),
        "times that it was right in one epoch and wrong in the next",
        when="dynamics",
    ),
    Quantity(
        "learnt_epoch",
        "uint16",
        ("train",),
        "epoch, from 1, since which it stayed right; one more than there are: never",
        when="dynamics",
    ),
)
SCHEMA: dict[str, Quantity] = {quantity.name: quantity for quantity in _ROWS}
