"""Numbers → lines: panels of series with their spread; computes nothing."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

MANY = 4  # lines whose legend hardly fits beside them


class Series(NamedTuple):
    """One line; NaN leaves a gap."""

    label: str | None  # None: the same colour and legend entry as in the panels before
    x: Sequence[float]
    y: np.ndarray  # float [K]
    spread: np.ndarray | None = None  # float [K], shaded above and below


class Panel(NamedTuple):
    """One pair of axes."""

    x_label: str
    y_label: str
    series: Sequence[Series]
    percent: bool = False  # y is a share
    ticks: Sequence[str] | None = None  # names of x = 0, 1, … where x is no number
    height: float = 1.0  # relative to the other rows
    log_x: bool = False  # with ticks at the points of the first series
    log_y: bool = False


def draw(panels: Sequence[Panel], columns: int, share_x: bool = False) -> Figure:
    """The panels in rows of `columns`; the first has the legend, or a long one is below."""
    rows = -(-len(panels) // columns)
    ratios = [panels[row * columns].height for row in range(rows)]
    figure = Figure(figsize=(4.2 * columns, 2.8 * sum(ratios)), layout="constrained")
    grid = figure.subplots(
        rows, columns, squeeze=False, sharex=share_x, height_ratios=ratios
    )
    for number, axes in enumerate(grid.flat):
        if number >= len(panels):
            axes.axis("off")
            continue
        panel = panels[number]
        for k, series in enumerate(panel.series):
            color = f"C{k}"
            x, y = np.asarray(series.x), np.asarray(series.y, float)
            axes.plot(x, y, color=color, marker=".", label=series.label)
            if series.spread is not None:
                low, high = y - series.spread, y + series.spread
                axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        if panel.ticks is not None:
            axes.set_xticks(range(len(panel.ticks)), panel.ticks)
        if panel.log_x:
            axes.set_xscale("log")
            x = panel.series[0].x
            axes.set_xticks(x, [f"{value:,}" for value in x])
            axes.minorticks_off()
        if panel.log_y:
            axes.set_yscale("log")
        if panel.percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        lowest = number >= len(panels) - columns
        axes.set(xlabel=panel.x_label if lowest or not share_x else "")
        axes.set_ylabel(panel.y_label)
        axes.spines[["top", "right"]].set_visible(False)
        if len(panel.series) > MANY and number == 0:
            figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
        elif any(series.label for series in panel.series):
            axes.legend(fontsize=8, frameon=False)
    return figure
