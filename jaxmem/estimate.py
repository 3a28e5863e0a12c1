"""Estimate memorization and influence anew from stored trials, without any training.

    python -m jaxmem.estimate runs/digits                      # other thresholds
    python -m jaxmem.estimate runs/a runs/b --output=runs/ab   # other seeds, other machines
    python -m jaxmem.estimate runs/digits --top=10             # all N x E influences

Writes estimates.npz and scores.csv; with --top also search.npz: the highest influences of
every training and every test example, across classes, and all pairs at the threshold.
"""

import argparse
import logging
import sys
import time
from pathlib import Path

import numpy as np

from jaxmem import trials
from jaxmem.cache import keep_compiled
from jaxmem.ensemble import use_all_cores
from jaxmem.errors import InputError
from jaxmem.estimators import rate_difference
from jaxmem.results import Run, merge_runs, open_run
from jaxmem.search import Found
from jaxmem.statistics import standard_error, z_score
from jaxmem.summary import print_table, summarize


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.estimate`."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxmem.estimate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("workdir", nargs="+", help="of a run; several of the same data and recipe merge")
    add("--output", type=Path, help="a folder (default: the workdir, if it is one)")
    add("--mem-threshold", type=float, default=0.25, help="(default: 0.25)")
    add("--infl-threshold", type=float, default=0.15, help="(default: 0.15)")
    add(
        "--influence-matrix",
        action="store_true",
        help="also write the influence within each class, influence_matrix.npz",
    )
    add("--top", type=int, default=0, help="search all pairs, keep the K highest of each")
    add("--harmful", action="store_true", help="with --top: the lowest, and pairs <= -infl")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 for bad input."""
    try:
        _estimate(**vars(make_parser().parse_args(argv)))
    except InputError as error:
        print(f"jaxmem: {error}", file=sys.stderr)
        return 2
    return 0


def _estimate(
    workdir: list[str],
    output: Path | None,
    mem_threshold: float,
    infl_threshold: float,
    influence_matrix: bool,
    top: int,
    harmful: bool,
) -> None:
    start = time.perf_counter()
    use_all_cores()
    keep_compiled()
    runs = [open_run(folder) for folder in workdir]
    if len(runs) > 1 and output is None:
        raise InputError(f"{len(runs)} workdirs are to be merged: give an --output folder")
    if top < 0:
        raise InputError(f"top {top} must be 0 or positive")
    run = merge_runs(runs)
    if not run.trials.size:
        raise InputError(f"{workdir[0]} has no finished trials yet")
    folder = output or run.workdir
    pairs = run.pairs(infl_threshold, mem_threshold)
    summary = summarize(run, pairs, mem_threshold)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        run.save_estimates(pairs, folder)
        run.save_scores(folder)
        if influence_matrix:
            run.save_influence_matrix(folder)
        if top:
            _save_search(run, run.search(infl_threshold, top, harmful), folder)
        summary["wall seconds"] = round(time.perf_counter() - start, 1)
        trials.write_json(folder / "summary.json", summary)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from error
    print_table(summary, {"results": str(folder)})


def _save_search(run: Run, found: Found, folder: Path) -> None:
    with trials.replacing(folder / "search.npz") as partial:
        np.savez(
            partial,
            tr_idx=found.rows,
            tt_idx=found.columns,
            infl=rate_difference(found.counts),
            infl_se=standard_error(found.counts),
            infl_z=z_score(found.counts),
            tr_top_idx=found.of_rows.index,
            tr_top_infl=found.of_rows.infl,
            tt_top_idx=found.of_columns.index,
            tt_top_infl=found.of_columns.infl,
            tr_ids=run.tr_ids,
            tt_ids=run.tt_ids,
            tr_labels=run.tr_labels,
            tt_labels=run.tt_labels,
        )


if __name__ == "__main__":
    logging.getLogger("absl").setLevel(logging.ERROR)
    sys.exit(main())
