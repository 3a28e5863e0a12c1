"""Suspects as files: the ranking, and the training set without or with other labels."""

from pathlib import Path

import numpy as np
import pyarrow.csv

from jaxmem._shared.files import replacing
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.estimates.suspects import Confirmation, Suspects
from jaxmem.reporting.decisions import WAYS, write_dataset, write_npz


def save_suspects(found: Suspects, folder: Path) -> Path:
    """Write suspects.csv, and suspects.npz with the same by row of the training set."""
    path = folder / "suspects.csv"
    with replacing(path) as partial:
        options = pyarrow.csv.WriteOptions(quoting_style="needed")
        pyarrow.csv.write_csv(found.table(), partial, options)
    write_npz(
        folder / "suspects.npz",
        kept=found.kept,
        relabelled=found.relabelled(),
        margin=found.margin,
        margin_se=found.margin_se,
        chance_wrong=found.chance,
        said_label=found.said_label,
        said_share=found.said_share,
    )
    return path


def check_way(path: Path) -> None:
    """Raises InputError unless the file's name says what to write."""
    if path.name not in WAYS:
        raise InputError(f"--write={path} must end in {' or '.join(WAYS)}")


def save_dataset(found: Suspects, data: Dataset, path: Path) -> None:
    """Write the data for `load_dataset`: cleaned.npz without suspects, or relabelled.npz.

    Relabelled, a suspect has the class that held-out models name most.
    """
    check_way(path)
    if path.name == WAYS[0]:
        write_dataset(path, data, found.kept, data.train.labels)
    else:
        write_dataset(path, data, np.ones(found.kept.size, bool), found.relabelled())


def print_suspects(found: Suspects, top: int, seconds: float) -> None:
    """Print what was found, and the first rows of the ranking."""
    n, count = found.order.size, int(found.suspected.sum())
    last = found.rounds[-1]
    stable = "" if np.isnan(found.stability) else f"; {found.stability:.0%} of the suspects"
    stable += " stood as high in the round before" if stable else ""
    rows = {
        "wrong labels": _number(found),
        "suspects": f"{count:,} of {n:,}" + _precision(found, count),
        "rounds": f"{len(found.rounds)}{stable}",
        "held-out models": f"{last.trials.size:,} of {last.config.model}, "
        f"test accuracy {last.test_accuracy.mean():.2%}",
        "wall time": f"{seconds:.0f} s",
        "results": str(found.workdir / "suspects.csv"),
    }
    for name, value in rows.items():
        print(f"{name:<23}{value}")
    if found.number is not None and not found.number.holds:
        text = "half of the labels or more may be wrong: then the number does not hold"
        print(f"{'warning':<23}{text}")
    if top:
        print(_rows(found, min(top, n)))


def _number(found: Suspects) -> str:
    if found.number is None:
        return "not known after one round; give --dataset for another"
    estimate, low, high, _ = found.number
    return f"{estimate:,.0f} (95% interval: {low:,} to {high:,})"


def _precision(found: Suspects, count: int) -> str:
    if not count or found.number is None:
        return ""
    return f", of which {found.expected_precision[count - 1]:.0%} are expected to be wrong"


def _rows(found: Suspects, top: int) -> str:
    """The first rows as text, under the names of their columns."""
    table = found.table().slice(0, top).drop_columns(["id", "expected_precision"])
    columns = [[name, *map(_show, values)] for name, values in table.to_pydict().items()]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return "\n" + "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def _show(value) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def print_confirmation(found: Suspects, confirmation: Confirmation) -> None:
    """Print what leaving out or relabelling the suspects is worth in test accuracy."""
    accuracy, *gains = confirmation
    names = "without suspects", "relabelled", "without others"
    print(f"\n{'all as they are':<23}{accuracy:.2%} test accuracy")
    for name, gain in zip(names, gains, strict=True):
        points = [100 * x for x in gain[:3]]
        text = "{:+.2f} points (95% interval: {:+.2f} to {:+.2f})".format(*points)
        print(f"{name:<23}{gain.accuracy:.2%}, {text}")
