"""Estimates as files that others read."""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from jaxmem._shared.arrays import describe, make_group, open_array
from jaxmem._shared.files import replacing
from jaxmem._shared.progress import progress
from jaxmem.estimates.pairs import Pairs
from jaxmem.estimates.results import Run
from jaxmem.estimates.search import Strongest

Table = Literal["csv", "parquet"]
TABLES: tuple[str, ...] = ("csv", "parquet")
Extent = Literal["class", "all"]
EXTENTS: tuple[str, ...] = ("class", "all")
TILE = 1024, 4096  # of an influence matrix: what a chunk holds, and what is made at a time


def save_estimates(run: Run, pairs: Pairs, folder: Path) -> Path:
    """Write estimates.npz: all of mem, the pairs, and which examples they are."""
    return _save_npz(
        folder / "estimates.npz",
        tr_mem=run.memorization,
        tr_mem_se=run.memorization_se,
        **_examples(run),
        trials=run.trials.size,
        **pairs._asdict(),
    )


def save_scores(run: Run, folder: Path, table: Table = "csv") -> Path:
    """Write `Run.scores` as scores.csv or scores.parquet."""
    path = folder / f"scores.{table}"
    with replacing(path) as partial:
        if table == "parquet":
            pyarrow.parquet.write_table(run.scores(), partial)
        else:
            quotes = "needed" if run.class_names else "none"
            options = pyarrow.csv.WriteOptions(quoting_style=quotes)
            pyarrow.csv.write_csv(run.scores(), partial, options)
    return path


def save_class_matrices(run: Run, folder: Path) -> Path:
    """Write influence_matrix.npz: infl within each class K, in the published layout.

    tr_labels, tt_labels, tr_mem; for each K tr_classidx_K, tt_classidx_K and
    infl_matrix_classK, float32 [n_train of K, n_test of K]; beside it infl_se_classK.
    """
    arrays = {
        "tr_labels": run.tr_labels,
        "tt_labels": run.tt_labels,
        "tr_mem": run.memorization,
    }
    classes = run.config.num_classes
    with progress("influence matrices", classes, "classes") as bar:
        for label in range(classes):
            rows, columns = run.of_class(label)
            infl, se = run.influence_with_se(rows, columns)
            arrays[f"tr_classidx_{label}"] = rows
            arrays[f"tt_classidx_{label}"] = columns
            arrays[f"infl_matrix_class{label}"] = infl.astype(np.float32)
            arrays[f"infl_se_class{label}"] = se.astype(np.float32)
            bar.update()
    return _save_npz(folder / "influence_matrix.npz", **arrays)


def save_matrix(run: Run, folder: Path, extent: Extent) -> Path:
    """Write influence.zarr (Zarr v3): infl and its standard error, float32, in tiles.

    extent "all": `infl` and `infl_se` [N, E], 8 bytes a pair before compression. "class":
    the same for each class K in a group class_K, with the rows and columns `tr_idx` and
    `tt_idx`. Memory does not grow with the number of pairs.
    """
    path = folder / "influence.zarr"
    everything = np.arange(run.tr_labels.size), np.arange(run.tt_labels.size)
    parts: dict[str, tuple[np.ndarray, np.ndarray]] = {"": everything}
    if extent == "class":
        labels = range(run.config.num_classes)
        parts = {f"class_{label}": run.of_class(label) for label in labels}
        parts = {k: part for k, part in parts.items() if all(x.size for x in part)}
    pairs = sum(rows.size * columns.size for rows, columns in parts.values())
    with (
        replacing(path) as partial,
        progress("influence matrix", pairs, "pairs") as bar,
    ):
        make_group(partial, trials=int(run.trials.size))
        for name, (rows, columns) in parts.items():
            group = partial / name
            if name:
                make_group(group)
                _save_array(group / "tr_idx", rows)
                _save_array(group / "tt_idx", columns)
            _save_tiles(run, group, rows, columns, bar)
    return path


def _save_tiles(run: Run, group: Path, rows, columns, bar) -> None:
    shape = rows.size, columns.size
    chunk = tuple(map(min, TILE, shape))
    arrays = [
        open_array(group / name, describe(shape, chunk, "float32", "NaN")).result()
        for name in ("infl", "infl_se")
    ]
    for r in range(0, shape[0], TILE[0]):
        for c in range(0, shape[1], TILE[1]):
            train, test = rows[r : r + TILE[0]], columns[c : c + TILE[1]]
            values = run.influence_with_se(train, test)
            place = slice(r, r + train.size), slice(c, c + test.size)
            writes = [
                array[place].write(value.astype(np.float32))
                for array, value in zip(arrays, values, strict=True)
            ]
            for write in writes:
                write.result()
            bar.update(values[0].size)


def save_search(run: Run, found: Strongest, folder: Path) -> Path:
    """Write search.npz: what `Run.search` found, strongest first."""
    pairs = found.pairs._asdict()
    del pairs["mem"]  # of all training examples, estimates.npz has it
    return _save_npz(
        folder / "search.npz",
        **pairs,
        tr_top_idx=found.of_train.index,
        tr_top_infl=found.of_train.infl,
        tt_top_idx=found.of_test.index,
        tt_top_infl=found.of_test.infl,
        **_examples(run),
    )


def save_predictions(run: Run, pairs: Pairs, path: Path) -> Path:
    """Write what kept models say of another test set, and its pairs."""
    return _save_npz(
        path,
        trials=run.trials,
        test_correct=np.packbits(run.test_correct, axis=1),
        tt_labels=run.tt_labels,
        tt_ids=run.tt_ids,
        tt_names=run.tt_names,
        **pairs._asdict(),
    )


def _examples(run: Run) -> dict[str, np.ndarray]:
    """Which examples rows and columns are: their labels, ids and names."""
    parts = ("labels", "ids", "names")
    return {
        f"{s}_{part}": getattr(run, f"{s}_{part}") for part in parts for s in ("tr", "tt")
    }


def _save_array(path: Path, values: np.ndarray) -> None:
    metadata = describe(values.shape, values.shape, str(values.dtype), 0)
    array = open_array(path, metadata).result()
    array.write(values).result()


def _save_npz(path: Path, **arrays) -> Path:
    with replacing(path) as partial:
        np.savez(partial, **arrays)
    return path
