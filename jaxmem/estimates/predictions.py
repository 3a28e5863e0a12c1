"""Which classes held-out models name: what hunters of wrong labels ask first."""

from typing import Literal, NamedTuple

import numpy as np

from jaxmem.estimates.readers import Reader

TRIALS = 64  # whose predictions are held at a time
COUNTS = 2**26  # votes, for all classes, that are held at a time

Split = Literal["train", "test"]


class HeldOutPrediction(NamedTuple):
    """What the models that never saw an example say of it most often."""

    label: np.ndarray  # int32 [N]; of classes named equally often its own, else the next
    share: np.ndarray  # float64 [N], of those models; NaN where every model saw it


class Votes(NamedTuple):
    """The classes that the models which never saw an example name most, in their order."""

    label: np.ndarray  # int32 [R, k]
    share: np.ndarray  # float64 [R, k], of those models; NaN where every model saw it


def held_out_prediction(
    reader: Reader, trials: np.ndarray, labels: np.ndarray, num_classes: int
) -> HeldOutPrediction:
    """The class named most by the trials that excluded an example.

    reader: of the trials int [T]; labels: int [N], of the training examples. Memory does
    not grow with N times the number of classes. Raises InputError where the trials stored
    no predicted classes.
    """
    votes = held_out_votes(reader, trials, labels, num_classes, 1)
    return HeldOutPrediction(votes.label[:, 0], votes.share[:, 0])


def held_out_votes(
    reader: Reader,
    trials: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    top: int,
    split: Split = "train",
) -> Votes:
    """The `top` classes named most by the trials that did not train on an example.

    As `held_out_prediction`; of split "test", labels int [E], no trial trained on any.
    """
    n, top = labels.size, min(top, num_classes)
    size = max(8, min(n, COUNTS // num_classes) // 8 * 8)
    parts = [
        _most_named(
            _votes(reader, trials, slice(start, start + size), n, num_classes, split), top
        )
        for start in range(0, n, size)
    ]
    offset, share = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Votes(((labels[:, None] + offset) % num_classes).astype(np.int32), share)


def _votes(
    reader: Reader, trials: np.ndarray, rows: slice, n: int, num_classes: int, split: Split
) -> np.ndarray:
    """How many trials that excluded an example say each class: int64 [R, K].

    Classes are counted from the example's label on.
    """
    count = min(rows.stop, n) - rows.start
    votes = np.zeros(count * num_classes, np.int64)
    place = np.arange(count) * num_classes
    for start in range(0, trials.size, TRIALS):
        block = trials[start : start + TRIALS]
        named = place + reader.read(f"{split}_predicted", block)[:, rows]
        if split == "train":
            bits = reader.read("included", block)[:, rows.start // 8 : -(-rows.stop // 8)]
            named = named[np.unpackbits(bits, axis=1, count=count) == 0]
        votes += np.bincount(named.reshape(-1), minlength=votes.size)
    return votes.reshape(count, num_classes)


def _most_named(votes: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """(offset from the label, share of the votes), [R, top] each."""
    # The first of equals: the label before all others.
    if top == 1:
        offset = votes.argmax(axis=1)[:, None]
    else:
        offset = np.argsort(-votes, axis=1, kind="stable")[:, :top]
    most = np.take_along_axis(votes, offset, axis=1)
    with np.errstate(invalid="ignore"):
        return offset, most / votes.sum(axis=1, keepdims=True)
