"""Parts of the N x E pairs: the training and test examples that may be a pair."""

from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """All pairs of these training examples with these test examples."""

    train: np.ndarray  # int64 [n], rows in train
    test: np.ndarray  # int64 [e], rows in test


def class_part(tr_labels: np.ndarray, tt_labels: np.ndarray, label: int) -> Part:
    """The pairs of one class, of labels int [N] and [E]."""
    return Part(np.flatnonzero(tr_labels == label), np.flatnonzero(tt_labels == label))


def class_parts(tr_labels: np.ndarray, tt_labels: np.ndarray) -> list[Part]:
    """The pairs of each class that has training and test examples."""
    labels = np.intersect1d(tr_labels, tt_labels)
    return [class_part(tr_labels, tt_labels, label) for label in labels]
