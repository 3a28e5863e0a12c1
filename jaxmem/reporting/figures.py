"""Numbers → pictures, after the paper's Figures 1, 3 and 4; computes no estimate."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxmem._shared.files import replacing
from jaxmem.data import Dataset, Examples
from jaxmem.errors import InputError
from jaxmem.estimates.pairs import Pairs
from jaxmem.estimates.results import Run
from jaxmem.reporting.rows import Scale, draw_row, memorized_rows, scale_of

CLASSES = 10  # rows of that figure
LEVELS = 3  # examples of each class at low, middle and high mem (Figure 1)
ROWS = 8  # memorized examples shown with whom they influence (Figure 4)
NAME = 24  # letters of a name, its last ones
INFLUENCED = 4  # test examples in each of those rows


def save_all(run: Run, data: Dataset, pairs: Pairs, mem_threshold: float) -> None:
    """Write the run's PNG figures to its workdir; raises InputError for other data."""
    same = np.array_equal(run.tr_ids, data.train.ids)
    if not (same and np.array_equal(run.tt_ids, data.test.ids)):
        raise InputError(f"{data.name} are not the data that {run.workdir} was trained on")
    figures = {
        "memorization_histogram": histogram(run.memorization, mem_threshold),
        "memorization_examples": examples(run.memorization, data),
        "influence_examples": influence(run, data, pairs),
    }
    if scale_of(data) is not None:
        figures["memorized_rows"] = memorized_rows(run, data)
    for name, figure in figures.items():
        save(figure, run.workdir / f"{name}.png")


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all."""
    with replacing(path) as partial:
        figure.savefig(partial, dpi=150, bbox_inches="tight")


def histogram(mem: np.ndarray, threshold: float) -> Figure:
    """Memorization of all training examples [N] on a logarithmic count axis (Figure 3)."""
    figure, known = _histogram(mem, "memorization", "training examples")
    figure.axes[0].axvline(threshold, color="black", linestyle="--", linewidth=1)
    memorized = int((known >= threshold).sum())
    figure.axes[0].set_title(f"{memorized:,} of {mem.size:,} have mem ≥ {threshold:g}")
    return figure


def influence_histogram(infl: np.ndarray, threshold: float) -> Figure:
    """Influence of the selected pairs [P], on a logarithmic count axis (Figure 3)."""
    figure, known = _histogram(infl, "influence", "pairs")
    figure.axes[0].set_title(f"{known.size:,} pairs have infl ≥ {threshold:g}")
    return figure


def _histogram(values: np.ndarray, name: str, of: str) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(5, 3))
    axes = figure.subplots()
    known = values[np.isfinite(values)]
    axes.hist(known, bins=np.linspace(min(0, known.min(initial=0)), 1, 51).tolist())
    axes.set(xlabel=name, ylabel=of)
    if known.size:
        axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, known


def examples(mem: np.ndarray, data: Dataset) -> Figure:
    """Of the first CLASSES classes, examples at low, middle and high mem (Figure 1)."""
    classes, scale = min(data.num_classes, CLASSES), scale_of(data)
    groups = ("low", "middle", "high")
    figure = Figure(figsize=(1.0 * LEVELS * len(groups) + 1, 1.15 * classes))
    axes = figure.subplots(classes, LEVELS * len(groups), squeeze=False)
    for label in range(classes):
        rows = np.nonzero((data.train.labels == label) & np.isfinite(mem))[0]
        order = rows[np.argsort(mem[rows], kind="stable")]
        shown = _low_middle_high(order, mem)
        for axis, row in zip(axes[label], shown, strict=True):
            if row is None:
                axis.axis("off")
            else:
                _show(axis, data.train, row, f"{mem[row]:.2f}", scale)
        axes[label, 0].set_ylabel(_class(data, label), fontsize=8)
    for g, name in enumerate(groups):
        axes[0, LEVELS * g + 1].annotate(
            f"{name} mem",
            (0.5, 1.45),
            xycoords="axes fraction",
            ha="center",
            fontsize=10,
        )
    return figure


def _low_middle_high(order: np.ndarray, mem: np.ndarray) -> list[int | None]:
    """LEVELS rows each of the lowest, the nearest to 0.5, and the highest; none twice."""
    high = order[-LEVELS:][::-1]
    rest = order[:-LEVELS]
    middle = rest[np.argsort(np.abs(mem[rest] - 0.5), kind="stable")][:LEVELS]
    low = rest[~np.isin(rest, middle)][:LEVELS]
    return [
        int(group[k]) if k < len(group) else None
        for group in (low, middle, high)
        for k in range(LEVELS)
    ]


def influence(run: Run, data: Dataset, pairs: Pairs) -> Figure:
    """Memorized examples, each with the test examples it influences most (Figure 4).

    Of its own class. The training examples of the strongest pairs come first, then those of
    highest mem.
    """
    mem, scale = run.memorization, scale_of(data)
    by_mem = np.argsort(-np.nan_to_num(mem, nan=-1), kind="stable")
    candidates = np.concatenate([pairs.tr_idx, by_mem])
    _, first = np.unique(candidates, return_index=True)
    chosen = candidates[np.sort(first)][:ROWS]
    figure = Figure(figsize=(1.1 * (INFLUENCED + 1), 1.3 * len(chosen)))
    axes = figure.subplots(len(chosen), INFLUENCED + 1, squeeze=False)
    for line, row in zip(axes, chosen, strict=True):
        columns = np.flatnonzero(data.test.labels == data.train.labels[row])
        infl, _ = run.influence_with_se([row], columns)
        most = np.argsort(-np.nan_to_num(infl[0], nan=-2), kind="stable")[:INFLUENCED]
        _show(line[0], data.train, row, f"mem {mem[row]:.2f}", scale)
        line[0].set_ylabel(_class(data, data.train.labels[row]), fontsize=8)
        for axis in line[1:]:
            axis.axis("off")
        for axis, k in zip(line[1:], most, strict=False):
            axis.axis("on")
            _show(axis, data.test, columns[k], f"infl {infl[0, k]:.2f}", scale)
    axes[0, 0].annotate(
        "train", (0.5, 1.4), xycoords="axes fraction", ha="center", fontsize=10
    )
    axes[0, 1].annotate(
        "test", (0.5, 1.4), xycoords="axes fraction", ha="center", fontsize=10
    )
    return figure


def _class(data: Dataset, label: int) -> str:
    return data.class_names[label] if data.class_names else f"class {label}"


def _show(
    axis, examples: Examples, row: int, title: str, scale: Scale | None = None
) -> None:
    """Draw an image, or by a scale the values of a row, over the end of its name."""
    image, name = examples.images[row], str(examples.names[row])
    if scale is None:
        _draw_image(axis, image)
    else:
        draw_row(axis, scale.standardised(image))
    axis.set_title(title, fontsize=8, pad=2)
    axis.set_xlabel(name[-NAME:], fontsize=5, labelpad=1)
    axis.set(xticks=[], yticks=[])


def _draw_image(axis, image: np.ndarray) -> None:
    """An image [H, W, C], grey of one channel."""
    grey = image.shape[-1] < 3
    pixels = image[..., 0] if grey else image[..., :3]
    if pixels.dtype != np.uint8:
        pixels = pixels.astype(np.float32)
        low, high = pixels.min(), pixels.max()
        pixels = (pixels - low) / (high - low if high > low else 1)
    axis.imshow(pixels, cmap="gray_r" if grey else None, interpolation="nearest")
