"""Numbers → pictures, after the paper's Figures 1, 3 and 4; computes no estimate."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxmem._shared.files import replacing
from jaxmem.data import Dataset, Examples
from jaxmem.estimates.pairs import Pairs
from jaxmem.estimates.results import Run
from jaxmem.reporting.contents import check_data
from jaxmem.reporting.rows import Scale, draw_row, memorized_rows, scale_of

CLASSES = 10  # rows of that figure
LEVELS = 3  # examples of each class at low, middle and high mem (Figure 1)
ROWS = 8  # memorized examples shown with whom they influence (Figure 4)
NAME = 24  # letters of a name, its last ones
INFLUENCED = 4  # test examples in each of those rows
LOOKED_AT = 8  # times as many examples, to find those that influence any
CLEAR = 3  # standard errors above 0


def save_all(
    run: Run, data: Dataset, pairs: Pairs, mem_threshold: float, pdf: bool = False
) -> None:
    """Write the run's figures to its workdir as PNG; pdf: also as vector graphics.

    Raises InputError for other data.
    """
    check_data(run, data)
    figures = {
        "memorization_histogram": histogram(run.memorization, mem_threshold),
        "memorization_examples": examples(run.memorization, data, mem_threshold),
        "influence_examples": influence(run, data, pairs),
    }
    if scale_of(data) is not None:
        figures["memorized_rows"] = memorized_rows(run, data)
    for name, figure in figures.items():
        for ending in ("png", "pdf") if pdf else ("png",):
            save(figure, run.workdir / f"{name}.{ending}")


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all, in the format that the path's ending says."""
    with replacing(path) as partial:
        figure.savefig(partial, dpi=150, bbox_inches="tight")


def histogram(mem: np.ndarray, threshold: float) -> Figure:
    """Memorization of all training examples [N] on a logarithmic count axis (Figure 3)."""
    figure, known = _histogram(mem, "memorization", "training examples")
    figure.axes[0].axvline(threshold, color="black", linestyle="--", linewidth=1)
    memorized, lacking = int((known >= threshold).sum()), mem.size - known.size
    unknown = f"; {lacking:,} always or never in" if lacking else ""
    title = f"{memorized:,} of {known.size:,} have mem ≥ {threshold:g}{unknown}"
    figure.axes[0].set_title(title)
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


def examples(mem: np.ndarray, data: Dataset, threshold: float = 0.25) -> Figure:
    """Examples at low, middle and high mem (Figure 1), each over its file or row.

    First the highest mem of all classes; then a line for each of the first CLASSES classes
    that has memorized examples, mem >= threshold. What is not there stays empty.
    """
    scale = scale_of(data)
    groups = ("low", "middle", "high")
    across = LEVELS * len(groups)
    known = np.flatnonzero(np.isfinite(mem))
    highest = known[np.argsort(-mem[known], kind="stable")]
    lines: list[tuple[str, list[int | None]]] = []
    for label in range(data.num_classes):
        rows = known[data.train.labels[known] == label]
        if (mem[rows] >= threshold).any() and len(lines) < CLASSES:
            order = rows[np.argsort(mem[rows], kind="stable")]
            lines.append((_class(data, label), _low_middle_high(order, mem, threshold)))
    top = [int(row) for row in highest[:across]]
    lines.insert(0, ("highest of all", top + [None] * (across - len(top))))
    heights = [1, *[0.15] * (len(lines) > 1), *[1] * (len(lines) - 1)]
    figure = Figure(figsize=(across + 1, 1.25 * sum(heights)))
    axes = figure.subplots(len(heights), across, squeeze=False, height_ratios=heights)
    if len(lines) > 1:  # a line for the groups' names
        between, axes = axes[1], np.delete(axes, 1, axis=0)
        for axis in between:
            axis.axis("off")
        for g, group in enumerate(groups):
            _head(between[LEVELS * g + 1], f"{group} mem", 0)
    for line, (name, shown) in zip(axes, lines, strict=True):
        for axis, row in zip(line, shown, strict=True):
            axis.axis("off")
            if row is not None:
                _show(axis, data.train, row, f"{mem[row]:.2f}", scale)
        line[0].annotate(
            name,
            (-0.15, 0.5),
            xycoords="axes fraction",
            ha="right",
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
    return figure


def _low_middle_high(
    order: np.ndarray, mem: np.ndarray, threshold: float
) -> list[int | None]:
    """Up to LEVELS rows each: of the lowest below the threshold; of those at or above it,
    the highest, and of the others the nearest to 0.5. None: there are no more."""
    memorized = order[mem[order] >= threshold]
    high, rest = memorized[-LEVELS:][::-1], memorized[:-LEVELS]
    middle = rest[np.argsort(np.abs(mem[rest] - 0.5), kind="stable")][:LEVELS]
    low = order[mem[order] < threshold][:LEVELS]
    return [
        int(group[k]) if k < len(group) else None
        for group in (low, middle, high)
        for k in range(LEVELS)
    ]


def influence(run: Run, data: Dataset, pairs: Pairs) -> Figure:
    """Memorized examples, each with the test examples it influences most (Figure 4).

    Of its own class, and only where infl is more than CLEAR standard errors above 0. The
    training examples of the strongest pairs come first, then those of highest mem.
    """
    mem, scale = run.memorization, scale_of(data)
    by_mem = np.argsort(-np.nan_to_num(mem, nan=-1), kind="stable")
    candidates = np.concatenate([pairs.tr_idx, by_mem])
    _, first = np.unique(candidates, return_index=True)
    chosen = candidates[np.sort(first)][: LOOKED_AT * ROWS]
    lines = [(row, _influenced(run, data, row)) for row in chosen]
    lines = [(row, links) for row, links in lines if links][:ROWS]
    figure = Figure(figsize=(1.1 * (INFLUENCED + 1), 1.3 * max(1, len(lines))))
    axes = figure.subplots(max(1, len(lines)), INFLUENCED + 1, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for line, (row, links) in zip(axes, lines, strict=False):
        _show(line[0], data.train, row, f"mem {mem[row]:.2f}", scale)
        line[0].set_ylabel(_class(data, data.train.labels[row]), fontsize=8)
        for axis, (column, infl) in zip(line[1:], links, strict=False):
            _show(axis, data.test, column, f"infl {infl:.2f}", scale)
    if lines:
        _head(axes[0, 0], "train")
        _head(axes[0, 1], "test")
    else:
        figure.text(0.5, 0.5, "no influence stands out", ha="center", fontsize=10)
    return figure


def _influenced(run: Run, data: Dataset, row: int) -> list[tuple[int, float]]:
    """The test rows of its class that a training row clearly influences, and infl."""
    columns = np.flatnonzero(data.test.labels == data.train.labels[row])
    (infl,), (se,) = run.influence_with_se([row], columns)
    most = np.argsort(-np.nan_to_num(infl, nan=-2), kind="stable")[:INFLUENCED]
    clear = most[infl[most] > CLEAR * se[most]]
    return [(int(columns[k]), float(infl[k])) for k in clear]


def _head(axis, text: str, height: float = 1.4) -> None:
    place = {"xycoords": "axes fraction", "ha": "center", "fontsize": 10}
    axis.annotate(text, (0.5, height), annotation_clip=False, **place)


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
    axis.axis("on")
    axis.set_title(title, fontsize=8, pad=2)
    name = f"row {name}" if name.isdecimal() else name[-NAME:]
    axis.set_xlabel(name, fontsize=5, labelpad=1)
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
