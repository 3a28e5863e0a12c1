"""Audit privacy: who could tell that an example was trained on, and of which examples?

    python -m jaxmem.audit runs/digits                  # a run with --margins
    python -m jaxmem.audit runs/digits --shadows=16     # by an attacker with 16 models
    python -m jaxmem.audit runs/mnist --targets=100     # attack some of the trials only

Every trial is attacked in turn by the others as its shadow models, without any training.
Writes audit.json, audit_roc.png and exposure.csv, every example in the order in which it is
exposed, into the workdir.
"""

import argparse
import time
from pathlib import Path

from jaxmem._shared import commands
from jaxmem._shared.arguments import whole
from jaxmem._shared.files import location, write_json
from jaxmem.errors import InputError
from jaxmem.estimates.audit import ATTACKS, audit
from jaxmem.estimates.opening import open_run
from jaxmem.options import add_memory
from jaxmem.reporting.audit import draw_roc, print_audit, save_exposure, summarize_audit
from jaxmem.reporting.figures import save


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.audit`."""
    parser = commands.make_parser("audit", __doc__)
    parser.add_argument("workdir", help="of a run with --margins")
    add = parser.add_argument_group("attacks").add_argument
    add(
        "--attack",
        dest="attacks",
        action="append",
        choices=ATTACKS,
        help="one of them, repeatable (default: all that the shadow models are enough for)",
    )
    add("--targets", type=int, help="attack only the first so many trials (default: all)")
    add(
        "--shadows",
        type=int,
        help="shadow models of each target, the first ones (default: all other trials)",
    )
    add_memory(add)
    add = parser.add_argument_group("what then").add_argument
    add("--top", type=int, default=10, help="exposed examples to print (default: 10)")
    add(
        "--resamples",
        type=int,
        default=200,
        help="of targets and examples, for the intervals (default: 200)",
    )
    add("--seed", type=int, default=0, help="of the resamples (default: 0)")
    add("--output", type=Path, help="a folder (default: the workdir)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 2 for bad input, 130 interrupted."""
    return commands.run_command(_audit, make_parser().parse_args(argv))


def _audit(
    workdir: str,
    attacks: list[str] | None,
    targets: int | None,
    shadows: int | None,
    memory: float,
    top: int,
    resamples: int,
    seed: int,
    output: Path | None,
) -> None:
    start = time.perf_counter()
    top = whole("top", top, least=0)
    run = open_run(workdir)
    if not run.trials.size:
        raise InputError(f"{workdir} has no finished trials yet")
    if shadows is not None:
        shadows = whole("shadows", shadows, least=1)
        if shadows >= run.trials.size:
            raise InputError(
                f"shadows {shadows}: {run.trials.size} trials leave {run.trials.size - 1}"
            )
        run = run.select(run.trials[: shadows + 1])
    count = run.trials.size if targets is None else whole("targets", targets, least=1)
    if count > run.trials.size:
        raise InputError(f"targets {count}: there are {run.trials.size} trials to attack")
    folder = run.workdir if output is None else location(output)
    found = audit(run, range(count), attacks, memory, resamples, seed)
    with commands.writing(folder):
        write_json(folder / "audit.json", summarize_audit(found, run))
        save_exposure(found, run, folder / "exposure.csv")
        save(draw_roc(found), folder / "audit_roc.png")
    print_audit(found, run, top)
    print(f"{'results':<23}{folder}")
    print(f"{'wall time':<23}{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    commands.exit_with(main)
