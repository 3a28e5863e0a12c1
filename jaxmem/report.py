"""A run as a page: look at examples, click from train to test and back, decide on labels.

    python -m jaxmem.report runs/digits                   # report.html in it
    python -m jaxmem.report runs/mnist --dataset=mnist    # with its pictures
    python -m jaxmem.report runs/a --compare=runs/b       # two runs of the same data
    python -m jaxmem.report runs/own --dataset=own.npz --decisions=decisions.csv \\
        --write=cleaned.npz                               # for the next run

One file that needs no network; large ones become a folder, whose data the page loads when
it needs them. Without the data it comes without pictures.
"""

import argparse
import time

from jaxmem._shared import commands
from jaxmem._shared.arguments import whole
from jaxmem._shared.files import local_path, location
from jaxmem._shared.progress import say
from jaxmem.data import Dataset, load_dataset
from jaxmem.data.flags import add_data_flags, take_dataset
from jaxmem.errors import InputError
from jaxmem.estimates.opening import open_run
from jaxmem.estimates.overview import TOP
from jaxmem.estimates.results import Run
from jaxmem.options import add_memory, add_thresholds
from jaxmem.reporting.decisions import check_target, read_decisions, save_decided
from jaxmem.reporting.report import make_report


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.report`."""
    parser = commands.make_parser("report", __doc__)
    parser.add_argument("workdir", help="of a run")
    add_data_flags(parser, default="of digits alone")
    parser.set_defaults(dataset=None)  # so that it is known whether it was given
    add = parser.add_argument_group("report").add_argument
    add(
        "--output",
        help="a file ending in .html, or a folder (default: WORKDIR/report.html)",
    )
    add("--compare", metavar="WORKDIR", help="a second run of the same data")
    add(
        "--top",
        type=int,
        default=TOP,
        metavar="K",
        help=f"influences shown of each example (default: {TOP})",
    )
    add_thresholds(add)
    add_memory(add)
    add = parser.add_argument_group("decisions").add_argument
    add("--decisions", metavar="CSV", help="on labels, as the report exports them")
    add(
        "--write",
        metavar="FILE",
        help="the data without wrong labels, path/cleaned.npz, or with the new ones, "
        "path/relabelled.npz; another .npz: which rows are kept, and all labels "
        "(default: WORKDIR/decided.npz)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 2 for bad input, 130 interrupted."""
    return commands.run_command(_report, make_parser().parse_args(argv))


def _report(
    workdir: str,
    output: str | None,
    compare: str | None,
    top: int,
    mem_threshold: float,
    infl_threshold: float,
    memory: float,
    decisions: str | None,
    write: str | None,
    **arguments,
) -> None:
    start = time.perf_counter()
    top = whole("top", top, least=1)
    run = open_run(workdir)
    other = None if compare is None else open_run(compare)
    if write is not None and decisions is None:
        raise InputError(f"--write={write} needs --decisions, a CSV file of the report's")
    decided = () if decisions is None else read_decisions(local_path(decisions), run)
    data, notes = _data(run, arguments)
    target = run.workdir / "decided.npz" if write is None else location(write)
    if decisions is not None:
        check_target(target, data)
    path = run.workdir / "report.html" if output is None else location(output)
    with commands.writing(path.parent):
        pass  # minutes before the report is there
    report = make_report(
        run,
        data,
        mem_threshold,
        infl_threshold,
        top,
        memory,
        other=other,
        decisions=decided,
        notes=notes,
    )
    path = report.save(path)
    print(f"{'report':<23}{path}")
    if decisions is not None:
        with commands.writing(target.parent, "; the report is kept"):
            save_decided(decided, run, data, target)
        print(f"{'decisions':<23}{len(decided):,}, written to {target}")
    print(f"{'wall time':<23}{time.perf_counter() - start:.0f} s")


def _data(run: Run, arguments: dict) -> tuple[Dataset | None, tuple[str, ...]]:
    """The data, if they can be had, and what the report is to say of them."""
    if arguments["dataset"] is None:
        digits = load_dataset("digits")
        if digits.fingerprint == run.config.data:
            return digits, ()
        return None, ("without pictures: make the report with the run's --dataset",)
    try:
        return take_dataset(arguments), ()
    except InputError as error:
        say(f"warning: without pictures: {error}")
        return None, (f"without pictures: {error}",)


if __name__ == "__main__":
    commands.exit_with(main)
