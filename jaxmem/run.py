"""Estimate what a network memorizes: train many models on random subsets and compare.

    python -m jaxmem.run                                  # digits, 4,000 trials
    python -m jaxmem.run --dataset=mnist --trials=4000    # MNIST through TFDS

The same command again resumes; a larger --trials tops up.
"""

import argparse
import functools
import time

import numpy as np

from jaxmem._shared import commands
from jaxmem._shared.devices import device_kind, hardware
from jaxmem._shared.files import local_path, read_npy, reason, write_json
from jaxmem._shared.progress import say
from jaxmem.data import Dataset, class_gaps
from jaxmem.data.flags import add_data_flags, take_dataset
from jaxmem.data.groups import COPIES
from jaxmem.data.neighbours import alike
from jaxmem.errors import InputError
from jaxmem.estimates.opening import open_run
from jaxmem.estimates.results import Run
from jaxmem.options import (
    add_influence_matrix,
    add_memory,
    add_start,
    add_subsets,
    add_thresholds,
)
from jaxmem.recipe_options import add_recipe
from jaxmem.reporting import exports, figures
from jaxmem.reporting.report import make_report
from jaxmem.reporting.summary import print_table, summarize
from jaxmem.running.choosing import TRIALS
from jaxmem.running.trials import run_trials
from jaxmem.storage.layouts import read_layouts
from jaxmem.storage.schema import MISSING
from jaxmem.storage.workdir import last_one_out


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.run`."""
    parser = commands.make_parser("run", __doc__)
    add_data_flags(parser, default="digits")
    add_subsets(parser)
    add_recipe(parser)
    add_start(parser)
    add = parser.add_argument_group("estimates").add_argument
    add_thresholds(add)
    add_memory(add)
    add_influence_matrix(add)
    add("--pdf", action="store_true", help="the figures also as vector graphics, in PDF")
    add(
        "--report",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write report.html at the end, which takes a minute for MNIST (default: do)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 2 for bad input, 130 interrupted."""
    kept = "; what is finished is kept, the same command resumes"
    return commands.run_command(_run, make_parser().parse_args(argv), kept)


def _run(
    mem_threshold: float,
    infl_threshold: float,
    memory: float,
    influence_matrix: bool,
    pdf: bool,
    report: bool,
    **arguments,
) -> None:
    start = time.perf_counter()
    data = _take_data(arguments)
    for line in class_gaps(data):
        say(f"warning: {line}")
    run = run_trials(data, **arguments)
    estimate = functools.partial(
        _estimate,
        data=data,
        mem_threshold=mem_threshold,
        infl_threshold=infl_threshold,
        memory=memory,
        influence_matrix=influence_matrix,
        pdf=pdf,
        report=report,
        start=start,
    )
    if arguments["share"] is None:
        return estimate(run)
    with last_one_out(run.workdir) as last:
        run = open_run(run.workdir)  # others may have finished meanwhile
        masks, trials = arguments["masks"], arguments["trials"]
        wanted = np.arange(trials or (TRIALS if masks is None else len(masks)))
        there = int((run.reader.read("status", wanted) != MISSING).sum())
        if last and (there == wanted.size or arguments["until_se"] is not None):
            return estimate(run)
    why = "others are being trained" if not last else "the other shares train the rest"
    say(
        f"share {arguments['share']} is finished; {run.workdir} has {there:,} of "
        f"{wanted.size:,} trials: {why}. The last share makes the estimates, or "
        f"`python -m jaxmem.estimate {run.workdir}`"
    )


def _take_data(arguments: dict) -> Dataset:
    """The dataset; in `arguments`, files and a column turn into what they hold."""
    if arguments["masks"] is not None:
        arguments["masks"] = read_npy(local_path(arguments["masks"]))
    groups = arguments["groups"]
    if groups is None or groups in COPIES or groups.endswith(".npy"):
        return take_dataset(arguments)
    data = take_dataset(arguments, groups=groups)
    arguments["groups"] = data.groups
    return data


def _estimate(
    run: Run,
    data: Dataset,
    mem_threshold: float,
    infl_threshold: float,
    memory: float,
    influence_matrix: bool,
    pdf: bool,
    report: bool,
    start: float,
) -> None:
    if not run.trials.size:
        raise InputError(
            f"all {run.diverged} trials in {run.workdir} diverged; "
            "give a smaller --learning-rate"
        )
    pairs = run.pairs(infl_threshold, mem_threshold)
    with commands.writing(run.workdir, "; the trials are kept"):
        exports.save_estimates(run, pairs, run.workdir)
        if influence_matrix:
            exports.save_class_matrices(run, run.workdir)
        figures.save_all(run, data, pairs, mem_threshold, pdf)
        near = alike(data)
        mine = None if near is None else near["train"]
        summary = summarize(run, pairs, mem_threshold, memory, start, alike=mine)
        write_json(run.workdir / "summary.json", summary._asdict())
    print_table(summary, {"ensemble": _layout(run), "results": str(run.workdir)})
    if not report:
        return
    thresholds = mem_threshold, infl_threshold
    try:
        made = make_report(
            run, data, *thresholds, memory=memory, summary=summary, near=near
        )
        print(f"{'report':<23}{made.save(run.workdir / 'report.html')}")
    except Exception as error:  # hours of training do not end in an error for its sake
        say(
            f"warning: no report: {reason(error)}; "
            f"`python -m jaxmem.report {run.workdir}` makes it"
        )


def _layout(run: Run) -> str:
    try:
        known = read_layouts(run.workdir)
        width = 1 if device_kind() in known.untimed else known.width(device_kind())
    except InputError:
        return "not known: plan.json is damaged"
    if width is None:
        return "trained elsewhere"
    return f"width {width} on each of {hardware()}"


if __name__ == "__main__":
    commands.exit_with(main)
