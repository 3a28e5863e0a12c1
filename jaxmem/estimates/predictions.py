"""Which classes held-out models name: what hunters of wrong labels ask first."""

from typing import NamedTuple

import numpy as np

from jaxmem.estimates.readers import Reader

TRIALS = 64  # whose predictions are held at a time
COUNTS = 2**26  # votes, for all classes, that are held at a time


class HeldOutPrediction(NamedTuple):
    """What the models that never saw an example say of it most often."""

    label: np.ndarray  # int32 [N]; of classes named equally often its own, else the next
    share: np.ndarray  # float64 [N], of those models; NaN where every model saw it


def held_out_prediction(
    reader: Reader, trials: np.ndarray, labels: np.ndarray, num_classes: int
) -> HeldOutPrediction:
    """The class named most by the trials that excluded an example.

    reader: of the trials int [T]; labels: int [N], of the training examples. Memory does
    not grow with N times the number of classes. Raises InputError where the trials stored
    no predicted classes.
    """
    n = labels.size
    size = max(8, min(n, COUNTS // num_classes) // 8 * 8)
    parts = [
        _most_named(_votes(reader, trials, slice(start, start + size), n, num_classes))
        for start in range(0, n, size)
    ]
    offset, share = (np.concatenate(part) for part in zip(*parts, strict=True))
    return HeldOutPrediction(((labels + offset) % num_classes).astype(np.int32), share)


def _votes(
    reader: Reader, trials: np.ndarray, rows: slice, n: int, num_classes: int
) -> np.ndarray:
    """How many trials that excluded an example say each class: int64 [R, K].

    Classes are counted from the example's label on.
    """
    count = min(rows.stop, n) - rows.start
    votes = np.zeros(count * num_classes, np.int64)
    place = np.arange(count) * num_classes
    for start in range(0, trials.size, TRIALS):
        block = trials[start : start + TRIALS]
        offset = reader.read("train_predicted", block)[:, rows]
        bits = reader.read("included", block)[:, rows.start // 8 : -(-rows.stop // 8)]
        excluded = np.unpackbits(bits, axis=1, count=count) == 0
        votes += np.bincount((place + offset)[excluded], minlength=votes.size)
    return votes.reshape(count, num_classes)


def _most_named(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(offset from the label, share of the votes), [R] each."""
    offset = votes.argmax(axis=1)  # the first of equals: the label before all others
    with np.errstate(invalid="ignore"):
        return offset, votes.max(axis=1) / votes.sum(axis=1)
