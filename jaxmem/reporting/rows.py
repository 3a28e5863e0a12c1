"""Examples that are rows of numbers [1, D, 1], not pictures: their values as figures."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run

ROWS = 8  # memorized rows that are shown
FEATURES = 6  # columns shown of each
CLASSES = 3  # other classes of which the nearest row is shown
NAME = 18  # letters of a column's name
SAMPLE = 10_000  # rows that say how much a feature varies
CHUNK = 2**22  # numbers that are compared at a time
SPREAD = 3.5  # standard deviations that a picture of a row shows on each side


class Scale(NamedTuple):
    """Mean and standard deviation of each feature over training rows: float64 [D]."""

    mean: np.ndarray
    deviation: np.ndarray  # 1 where nothing varies

    def standardised(self, images: np.ndarray) -> np.ndarray:
        """Rows [..., 1, D, 1] in standard deviations from the mean: float64 [..., D]."""
        return (images[..., 0, :, 0].astype(np.float64) - self.mean) / self.deviation


class Neighbour(NamedTuple):
    """A training row beside another."""

    row: int
    distance: float  # root of the sum of squares, of standardised features


def scale_of(data: Dataset) -> Scale | None:
    """How much the features of rows vary, by SAMPLE training rows; None for pictures."""
    images = data.train.images
    if images.shape[1] != 1 or images.shape[3] != 1:
        return None
    chosen = np.unique(np.linspace(0, len(images) - 1, SAMPLE).astype(int))
    values = images[chosen, 0, :, 0].astype(np.float64)
    deviation = values.std(axis=0)
    return Scale(values.mean(axis=0), np.where(deviation > 0, deviation, 1))


def draw_row(axis, standardised: np.ndarray) -> None:
    """A row's features [D] side by side, up where they are above the mean."""
    axis.stairs(standardised.clip(-SPREAD, SPREAD), baseline=0, fill=True)
    axis.set_ylim(-SPREAD, SPREAD)


def nearest_by_class(data: Dataset, row: int, scale: Scale) -> list[Neighbour]:
    """The training row nearest to a training row, of each class; the nearest first."""
    images, labels = data.train.images, data.train.labels
    mine = scale.standardised(images[row])
    size = max(1, CHUNK // mine.size)
    starts = range(0, len(images), size)
    parts = [scale.standardised(images[s : s + size]) - mine for s in starts]
    distance = np.sqrt(np.concatenate([np.square(part).sum(axis=1) for part in parts]))
    distance[row] = np.inf
    order = np.argsort(distance, kind="stable")[:-1]  # without itself
    _, first = np.unique(labels[order], return_index=True)
    return [Neighbour(int(k), float(distance[k])) for k in order[np.sort(first)]]


def memorized_rows(run: Run, data: Dataset) -> Figure:
    """The rows of highest mem: their values where they differ most from their own class's
    nearest row, the nearest rows of each class, and what held-out models say of them."""
    scale = scale_of(data)
    assert scale is not None
    mem = run.memorization
    order = np.argsort(-np.nan_to_num(mem, nan=-2), kind="stable")
    chosen = [int(row) for row in order[:ROWS] if np.isfinite(mem[row])]
    figure = Figure(figsize=(12, 1.6 * max(1, len(chosen))))
    axes = figure.subplots(max(1, len(chosen)), 1, squeeze=False)[:, 0]
    for axis in axes:
        axis.axis("off")
    said = _held_out(run)
    for axis, row in zip(axes, chosen, strict=False):
        title, label = f"mem {mem[row]:.2f}", None
        if said is not None:  # known, as mem is
            label, share = int(said.label[row]), said.share[row]
            title += (
                f"; {share:.0%} of the models that never saw it say {_class(data, label)}"
            )
        axis.set_title(title, fontsize=8, loc="left")
        _table(axis, data, row, label, scale)
    return figure


def _held_out(run: Run):
    try:
        return run.held_out_prediction()
    except InputError:  # adopted: nobody knows
        return None


def _table(axis, data: Dataset, row: int, said: int | None, scale: Scale) -> None:
    """A line for the row, its own class's nearest row, and those of other classes."""
    labels, images = data.train.labels, data.train.images
    near = nearest_by_class(data, row, scale)
    own = [n for n in near if labels[n.row] == labels[row]]
    others = [n for n in near if labels[n.row] != labels[row]]
    others.sort(key=lambda n: labels[n.row] != said)  # what is said of it comes first
    lines = [Neighbour(row, 0.0), *own, *others[:CLASSES]]
    values = images[[n.row for n in lines], 0, :, 0]
    apart = np.abs(np.diff(scale.standardised(images[[n.row for n in lines[:2]]]), axis=0))
    features = np.sort(np.argsort(-apart[0], kind="stable")[:FEATURES])
    cells = [
        [str(data.train.names[n.row]), _class(data, labels[n.row]), f"{n.distance:.2f}"]
        + [f"{value:.4g}" for value in line[features]]
        for n, line in zip(lines, values, strict=True)
    ]
    head = ["row", "class", "distance", *(_feature(data, f) for f in features)]
    table = axis.table(cells, colLabels=head, loc="upper center", cellLoc="right")
    table.auto_set_font_size(False)
    table.set_fontsize(7)


def _class(data: Dataset, label: int) -> str:
    return data.class_names[label] if data.class_names else f"class {label}"


def _feature(data: Dataset, feature: int) -> str:
    names: Sequence[str] = data.feature_names
    return textwrap.shorten(names[feature], NAME) if names else f"feature {feature}"
