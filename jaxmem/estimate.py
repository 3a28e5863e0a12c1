"""Estimate memorization and influence anew from stored trials, without any training.

    python -m jaxmem.estimate runs/digits                      # other thresholds
    python -m jaxmem.estimate runs/a runs/b --output=runs/ab   # other seeds, other machines
    python -m jaxmem.estimate runs/digits --top=10             # all N x E influences

Writes estimates.npz and a table of scores; with --top also search.npz: the highest
influences of every training and every test example, across classes, and all pairs at the
threshold.
"""

import argparse
import time
from pathlib import Path

from jaxmem._shared import commands
from jaxmem._shared.arguments import whole
from jaxmem._shared.files import location, write_json
from jaxmem.errors import InputError
from jaxmem.estimates.merging import merge_runs
from jaxmem.estimates.opening import open_run
from jaxmem.options import add_influence_matrix, add_memory, add_thresholds
from jaxmem.reporting import exports
from jaxmem.reporting.summary import print_table, summarize


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.estimate`."""
    parser = commands.make_parser("estimate", __doc__)
    add = parser.add_argument
    add("workdir", nargs="+", help="of a run; several of the same data and recipe merge")
    add(
        "--output",
        type=Path,
        help="a folder (default: the workdir; required with several)",
    )
    add_thresholds(add)
    add(
        "--scores",
        choices=exports.TABLES,
        default="csv",
        help="format of the table of training examples, scores.csv (default: csv)",
    )
    add_influence_matrix(add)
    add(
        "--influence-zarr",
        choices=exports.EXTENTS,
        help="also write influence.zarr: the influence within each class, or all of it, "
        "with standard errors; 8 bytes a pair",
    )
    search = parser.add_argument_group("search of all N x E pairs")
    add = search.add_argument
    add(
        "--top", type=int, default=0, metavar="K", help="keep the K highest of each example"
    )
    add("--harmful", action="store_true", help="the lowest instead, and pairs <= -infl")
    add("--same-class", action="store_true", help="only pairs of one class")
    add_memory(add)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 2 for bad input, 130 interrupted."""
    return commands.run_command(_estimate, make_parser().parse_args(argv))


def _estimate(
    workdir: list[str],
    output: Path | None,
    mem_threshold: float,
    infl_threshold: float,
    scores: exports.Table,
    influence_matrix: bool,
    influence_zarr: exports.Extent | None,
    top: int,
    harmful: bool,
    same_class: bool,
    memory: float,
) -> None:
    start = time.perf_counter()
    runs = [open_run(folder) for folder in workdir]
    if len(runs) > 1 and output is None:
        raise InputError(f"{len(runs)} workdirs are to be merged: give an --output folder")
    top = whole("top", top, least=0)
    run = merge_runs(runs)
    if not run.trials.size:
        raise InputError(f"{workdir[0]} has no finished trials yet")
    folder = run.workdir if output is None else location(output)
    pairs = run.pairs(infl_threshold, mem_threshold)
    with commands.writing(folder):
        exports.save_estimates(run, pairs, folder)
        exports.save_scores(run, folder, scores)
        if influence_matrix:
            exports.save_class_matrices(run, folder)
        if influence_zarr:
            exports.save_matrix(run, folder, influence_zarr)
        if top:
            found = run.search(infl_threshold, top, harmful, same_class, memory)
            exports.save_search(run, found, folder)
        summary = summarize(run, pairs, mem_threshold, memory, start)
        write_json(folder / "summary.json", summary._asdict())
    print_table(summary, {"results": str(folder)})


if __name__ == "__main__":
    commands.exit_with(main)
