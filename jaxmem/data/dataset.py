"""What a dataset is, and what makes arrays into one."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxmem._shared.devices import aligned
from jaxmem.data.given import read_names, take_given
from jaxmem.data.images import ids_of, one_kind, read_images
from jaxmem.data.labels import listed, read_labels
from jaxmem.errors import InputError


class Examples(NamedTuple):
    """R examples of one split."""

    # [R, H, W, C]: uint8 pixels, trained on as pixel / 255, or numbers trained on as they
    # are: bool, int8, int16, uint16, int32 or float32. Perhaps a map of a file on disk
    images: np.ndarray
    labels: np.ndarray  # int32 [R], 0 … num_classes - 1
    ids: np.ndarray  # str [R], from the content: `content_ids`
    names: np.ndarray  # str [R], by which the owner finds it: a file, or its row's number


class Dataset(NamedTuple):
    """N training and E test examples of C classes."""

    name: str
    train: Examples
    test: Examples
    num_classes: int
    class_names: tuple[str, ...] = ()  # of 0 … C - 1; () where they are just numbers
    recipes: str | None = None  # whose recipes are for these data, where it is known
    feature_names: tuple[str, ...] = ()  # of the D columns of rows, where they have names
    source: dict[str, Any] | None = None  # arguments of `load_dataset` that load it again
    groups: np.ndarray | None = None  # [N]: what each training example belongs to

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
    y_train=None,
    x_test=None,
    y_test=None,
    num_classes: int | None = None,
    class_names: Sequence[str] = (),
    *,
    train_names: Sequence[str] | np.ndarray | None = None,
    test_names: Sequence[str] | np.ndarray | None = None,
) -> Dataset:
    """A dataset of arrays: images [R, D], [R, H, W] or [R, H, W, C], labels [R].

    uint8 means pixels (trained on as pixel / 255). Other whole numbers, bool and floating
    point keep their values: they become the first of int8, int16, uint16, int32 that holds
    train and test, bool, and float32. Labels are class numbers 0, 1, … or names, which are
    numbered in the order of class_names, or else in their own. A class may lack examples in
    both splits only where num_classes or class_names says that there is one. uint8, bool
    and float32 in C order are not copied, so that they may be memory maps.

    Whatever NumPy makes an array of will do, and also: pandas frames; PyTorch tensors;
    lists of PIL images, and the image column of a Hugging Face dataset, decoded as those of
    a folder are; with y_train and y_test left out, map-style PyTorch datasets of pairs
    (image, label), and Hugging Face datasets.

    train_names, test_names: what each example is called, text [R]; default: its row
    number, of a frame its index.

    Raises InputError, naming the array and the way out, for lengths, shapes or kinds that
    differ, no rows, values that are not finite in float32 or are beyond int32, a training
    set of one class, and labels that leave in doubt which class is meant.
    """
    tr = take_given("train", x_train, y_train)
    tt = take_given("test", x_test, y_test)
    train, test = read_images("x_train", tr.x), read_images("x_test", tt.x)
    if train.shape[1:] != test.shape[1:]:
        raise InputError(
            f"x_train has images of shape {train.shape[1:]}, x_test of {test.shape[1:]}; "
            "they must agree"
        )
    train, test = map(aligned, one_kind(train, test))  # devices can borrow these
    rows = len(train), len(test)
    class_names = class_names if np.size(class_names) else tr.class_names
    labels = read_labels(tr.y, tt.y, rows, num_classes, class_names)
    tr_names = read_names("train_names", train_names, tr.names, rows[0])
    tt_names = read_names("test_names", test_names, tt.names, rows[1])
    return Dataset(
        name,
        Examples(train, labels.train, ids_of(train), tr_names),
        Examples(test, labels.test, ids_of(test), tt_names),
        labels.num_classes,
        labels.class_names,
        feature_names=tuple(map(str, tr.columns)),
    )
