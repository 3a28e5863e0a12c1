"""What a dataset is, and what makes arrays into one."""

import hashlib
from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError


class Examples(NamedTuple):
    """R examples of one split."""

    images: np.ndarray  # [R, H, W, C]: uint8, trained on as pixel / 255, or float32 as is
    labels: np.ndarray  # int32 [R], 0 … num_classes - 1
    ids: np.ndarray  # str [R], from the content: `content_ids`


class Dataset(NamedTuple):
    """N training and E test examples of C classes."""

    name: str
    train: Examples
    test: Examples
    num_classes: int

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


def content_ids(images: np.ndarray) -> np.ndarray:
    """An id per row from its content alone: str [R] of 16 hexadecimal digits.

    The first 64 bits of SHA-256 over dtype, shape (H, W, C) and pixels of images
    [R, H, W, C]. Loaders order rows differently; by their ids, scores can be joined.
    The label is no part of it, so that a relabelled example keeps its id.
    """
    head = f"{images.dtype.name}{images.shape[1:]}".encode()
    digests = [
        hashlib.sha256(head + row.tobytes()).hexdigest()[:16]
        for row in images.astype(images.dtype.newbyteorder("<"), copy=False)
    ]
    return np.array(digests, dtype="U16")


def count_duplicates(train_ids: np.ndarray, test_ids: np.ndarray) -> Duplicates:
    """Count exact duplicates inside train, and between train and test, by their ids."""
    known = np.unique(train_ids)
    return Duplicates(
        train=train_ids.size - known.size,
        train_test=int(np.isin(test_ids, known).sum()),
    )


def make_dataset(
    name: str, x_train, y_train, x_test, y_test, num_classes: int | None = None
) -> Dataset:
    """A dataset of arrays: images [R], [R, D], [R, H, W] or [R, H, W, C], labels [R].

    Whole-numbered pixels in 0 … 255 become uint8 (trained on as pixel / 255); floating
    point is trained on as it is, in float32. Raises InputError, naming the array, for
    lengths or shapes that differ, no rows, pixels that are not finite, and labels that are
    no class numbers 0, 1, ….
    """
    train_images, test_images = _images("x_train", x_train), _images("x_test", x_test)
    if train_images.shape[1:] != test_images.shape[1:]:
        raise InputError(
            f"x_train has images of shape {train_images.shape[1:]}, "
            f"x_test of {test_images.shape[1:]}; they must agree"
        )
    if train_images.dtype != test_images.dtype:
        raise InputError(
            "x_train and x_test must be of one kind, but one is whole-numbered and the "
            "other floating point"
        )
    train_labels = _labels("y_train", y_train, "x_train", len(train_images))
    test_labels = _labels("y_test", y_test, "x_test", len(test_images))
    highest = int(max(train_labels.max(), test_labels.max()))
    if highest >= (num_classes or len(train_labels)):
        raise InputError(
            f"label {highest} is no class number: number the classes 0, 1, … without gaps"
        )
    return Dataset(
        name,
        Examples(train_images, train_labels, content_ids(train_images)),
        Examples(test_images, test_labels, content_ids(test_images)),
        num_classes or highest + 1,
    )


def _images(key: str, values) -> np.ndarray:
    images = np.asarray(values)
    if not 2 <= images.ndim <= 4 or 0 in images.shape:
        raise InputError(
            f"{key} has shape {images.shape}; expected rows of [H, W, C], [H, W] or [D]"
        )
    if images.dtype.kind in "iub":
        if images.min() < 0 or images.max() > 255:
            raise InputError(
                f"{key} has whole-numbered pixels in {images.min()} … {images.max()}; "
                "expected 0 … 255, or floating point"
            )
        images = images.astype(np.uint8)
    elif images.dtype.kind == "f":
        images = images.astype(np.float32)
        bad = int((~np.isfinite(images)).sum())
        if bad:
            raise InputError(f"{key} has {bad} pixels that are NaN or infinite")
    else:
        raise InputError(f"{key} has dtype {images.dtype}; expected numbers")
    if images.ndim == 2:
        images = images[:, None, :]
    if images.ndim == 3:
        images = images[..., None]
    return np.ascontiguousarray(images)


def _labels(key: str, values, images_key: str, rows: int) -> np.ndarray:
    labels = np.asarray(values)
    if labels.shape == (rows, 1):
        labels = labels[:, 0]
    if labels.shape != (rows,):
        raise InputError(
            f"{key} has shape {labels.shape}, but {images_key} has {rows} rows; "
            f"expected ({rows},)"
        )
    if labels.dtype.kind not in "iufb" or not np.array_equal(labels, labels // 1):
        raise InputError(f"{key} must hold class numbers 0, 1, …")
    if labels.min() < 0 or labels.max() >= 2**31:
        raise InputError(
            f"{key} has label {labels.min() if labels.min() < 0 else labels.max()}, "
            "which is no class number 0, 1, …"
        )
    return labels.astype(np.int32)
