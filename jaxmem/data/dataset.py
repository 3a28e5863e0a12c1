"""What a dataset is, and what makes arrays into one."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxmem._shared.devices import aligned
from jaxmem.data.images import ids_of, one_kind, read_images
from jaxmem.data.labels import listed, read_labels
from jaxmem.errors import InputError


class Examples(NamedTuple):
    """R examples of one split."""

    # [R, H, W, C]: uint8 pixels, trained on as pixel / 255, or numbers trained on as they
    # are: bool, int8, int16, uint16, int32 or float32
    images: np.ndarray
    labels: np.ndarray  # int32 [R], 0 … num_classes - 1
    ids: np.ndarray  # str [R], from the content: `content_ids`


class Dataset(NamedTuple):
    """N training and E test examples of C classes."""

    name: str
    train: Examples
    test: Examples
    num_classes: int
    class_names: tuple[str, ...] = ()  # of 0 … C - 1; () where they are just numbers
    recipes: str | None = None  # whose recipes are for these data, where it is known

    @property
    def fingerprint(self) -> str:
        """A hash of all ids and labels in their order: equal for equal data."""
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            digest.update("".join(split.ids.tolist()).encode())
            digest.update(split.labels.astype("<i4").tobytes())
        return digest.hexdigest()[:16]


class Duplicates(NamedTuple):
    """Rows whose image stands elsewhere too, pixel for pixel."""

    train: int  # training rows that repeat an earlier training row
    train_test: int  # test rows that also stand in the training set


def count_duplicates(train_ids: np.ndarray, test_ids: np.ndarray) -> Duplicates:
    """Count exact duplicates inside train, and between train and test, by their ids."""
    known = np.unique(train_ids)
    return Duplicates(
        train=train_ids.size - known.size,
        train_test=int(np.isin(test_ids, known).sum()),
    )


def class_gaps(data: Dataset) -> list[str]:
    """What to tell the user of classes with examples in one split only: a line per kind."""
    train, test = np.unique(data.train.labels), np.unique(data.test.labels)

    def of(classes: np.ndarray) -> tuple[str, bool]:
        numbers = classes.tolist()
        names = [data.class_names[c] for c in numbers] if data.class_names else numbers
        return listed(names), classes.size == 1

    lines = []
    if (untested := np.setdiff1d(train, test)).size:
        classes, one = of(untested)
        lines.append(
            f"{classes} {'has' if one else 'have'} no test examples: nothing there can "
            f"show what {'its' if one else 'their'} training examples influence"
        )
    if (untrained := np.setdiff1d(test, train)).size:
        classes, one = of(untrained)
        lines.append(
            f"{classes} {'has' if one else 'have'} no training examples: no model can get "
            f"{'it' if one else 'them'} right"
        )
    return lines


def make_dataset(
    name: str,
    x_train,
    y_train,
    x_test,
    y_test,
    num_classes: int | None = None,
    class_names: Sequence[str] = (),
) -> Dataset:
    """A dataset of arrays: images [R, D], [R, H, W] or [R, H, W, C], labels [R].

    uint8 means pixels (trained on as pixel / 255). Other whole numbers, bool and floating
    point keep their values: they become the first of int8, int16, uint16, int32 that holds
    train and test, bool, and float32. Labels are class numbers 0, 1, … or names, which are
    numbered in the order of class_names, or else in their own. A class may lack examples in
    both splits only where num_classes or class_names says that there is one.

    Raises InputError, naming the array and the way out, for lengths, shapes or kinds that
    differ, no rows, values that are not finite in float32 or are beyond int32, a training
    set of one class, and labels that leave in doubt which class is meant.
    """
    train, test = read_images("x_train", x_train), read_images("x_test", x_test)
    if train.shape[1:] != test.shape[1:]:
        raise InputError(
            f"x_train has images of shape {train.shape[1:]}, x_test of {test.shape[1:]}; "
            "they must agree"
        )
    train, test = map(aligned, one_kind(train, test))  # devices can borrow these
    rows = len(train), len(test)
    labels = read_labels(y_train, y_test, rows, num_classes, class_names)
    return Dataset(
        name,
        Examples(train, labels.train, ids_of(train)),
        Examples(test, labels.test, ids_of(test)),
        labels.num_classes,
        labels.class_names,
    )
