"""What a reader of the report decided of suspected labels, as files."""

import csv
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmem._shared.files import reason, replacing
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run

DECISIONS = ("wrong", "hard", "rare")
WAYS = ("cleaned.npz", "relabelled.npz")
COLUMNS = ("id", "decision", "new_label")  # that are read; the others are for people


class Decision(NamedTuple):
    """What was decided of a training example."""

    row: int
    decision: str  # of DECISIONS
    new_label: str  # a class, where one was chosen; else ""


def read_decisions(path: Path, run: Run) -> tuple[Decision, ...]:
    """The decisions of a CSV file that a report exported, by row of the training set.

    Of an id that stands in several rows, the column `row` says which. Raises InputError,
    naming the line, for what is no decision on the run's examples.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {reason(error)}") from None
    if lines and (missing := [name for name in COLUMNS if name not in lines[0]]):
        raise InputError(
            f"{path} has no column {missing[0]!r}; export the decisions from the report"
        )
    rows: dict[str, list[int]] = {}
    for row, key in enumerate(run.tr_ids.tolist()):
        rows.setdefault(key, []).append(row)
    found = {}
    for number, line in enumerate(lines, 2):
        here = f"{path}, line {number}"
        known = rows.get(line["id"])
        if known is None:
            raise InputError(
                f"{here}: the training set of {run.workdir} has no example {line['id']!r}"
            )
        if line["decision"] not in DECISIONS:
            ways = ", ".join(DECISIONS)
            raise InputError(f"{here}: {line['decision']!r} is no decision: {ways}")
        if line["new_label"] and line["new_label"] not in run.all_class_names:
            raise InputError(f"{here}: there is no class {line['new_label']!r}")
        said = line.get("row") or ""
        row = int(said) if re.fullmatch("[0-9]{1,12}", said) else -1
        if row not in known:
            if len(known) > 1:
                raise InputError(
                    f"{here}: {line['id']!r} stands in {len(known)} rows; the column row "
                    "must say in which"
                )
            row = known[0]
        if row in found:
            raise InputError(f"{here}: row {row} is decided twice")
        found[row] = Decision(row, line["decision"], line["new_label"])
    return tuple(found[row] for row in sorted(found))


def removed(decisions: tuple[Decision, ...], size: int) -> np.ndarray:
    """Which training examples stay: bool [N], without those decided to be wrong."""
    kept = np.ones(size, bool)
    kept[[d.row for d in decisions if d.decision == "wrong"]] = False
    return kept


def relabelled(decisions: tuple[Decision, ...], run: Run) -> np.ndarray:
    """The labels int32 [N] with the new ones that were chosen."""
    labels, names = run.tr_labels.copy(), run.all_class_names
    for decision in decisions:
        if decision.decision == "wrong" and decision.new_label:
            labels[decision.row] = names.index(decision.new_label)
    return labels


def save_decided(
    decisions: tuple[Decision, ...], run: Run, data: Dataset | None, path: Path
) -> Path:
    """Write what the next run needs.

    path: cleaned.npz, the data without what is wrong; relabelled.npz, with the new labels
    (what is wrong and has none is left out); any other .npz: `kept` bool [N], as a row of
    `masks`, and `relabelled` int32 [N].
    """
    check_target(path, data)
    kept, labels = removed(decisions, run.tr_labels.size), relabelled(decisions, run)
    if path.name not in WAYS:
        return write_npz(path, kept=kept, relabelled=labels)
    assert data is not None  # `check_target`
    if path.name == WAYS[0]:
        return write_dataset(path, data, kept, run.tr_labels)
    kept[[d.row for d in decisions if d.new_label]] = True
    return write_dataset(path, data, kept, labels)


def check_target(path: Path, data: Dataset | None) -> None:
    """Raises InputError where decisions cannot be written to such a file."""
    if path.suffix != ".npz":
        raise InputError(f"--write={path} must end in .npz")
    if path.name in WAYS and data is None:
        raise InputError(f"--write={path} needs the data: give the run's --dataset")


def write_dataset(path: Path, data: Dataset, kept, labels: np.ndarray) -> Path:
    """Write an .npz for `load_dataset`: training rows bool [N], labels int32 [N]."""
    names: dict[str, Any] = {}
    if data.class_names:
        names["class_names"] = np.array(data.class_names)
    return write_npz(
        path,
        x_train=data.train.images[kept],
        y_train=labels[kept],
        x_test=data.test.images,
        y_test=data.test.labels,
        train_names=data.train.names[kept],
        test_names=data.test.names,
        **names,
    )


def write_npz(path: Path, **arrays) -> Path:
    """Write an .npz file whole or not at all."""
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)
    return path
