"""Find wrong labels: rank them by what models say that never saw them.

    python -m jaxmem.suspects --dataset=path/to/own.npz
    python -m jaxmem.suspects runs/digits    # by the margins of a finished run, in seconds
    python -m jaxmem.suspects runs/digits --dataset=digits    # and in further rounds

The labels of the training set are judged. Rounds of a few trials: models of later rounds do
not see what the round before set aside. Writes WORKDIR/suspects.csv, every label in the
order of suspicion, and suspects.npz. The same command again resumes.
"""

import argparse
import time
from pathlib import Path

from jaxmem._shared import commands
from jaxmem._shared.arguments import whole
from jaxmem._shared.files import location
from jaxmem.data.flags import add_data_flags, take_dataset
from jaxmem.errors import InputError
from jaxmem.estimates.opening import open_run
from jaxmem.estimates.suspects import conclude, judge
from jaxmem.recipe_options import add_recipe
from jaxmem.reporting.suspects import (
    check_way,
    print_confirmation,
    print_suspects,
    save_dataset,
    save_suspects,
)
from jaxmem.running.confirming import confirm
from jaxmem.running.suspects import ROUNDS, TRIALS, find_suspects


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.suspects`."""
    parser = commands.make_parser("suspects", __doc__)
    text = "a finished run with --margins, in place of the first round"
    parser.add_argument("run", nargs="?", help=text)
    add_data_flags(parser, default="digits")
    parser.set_defaults(dataset=None)  # so that it is known whether it was given
    add = parser.add_argument_group("rounds").add_argument
    add("--trials", type=int, default=TRIALS, help=f"of a round (default: {TRIALS})")
    add("--rounds", type=int, default=ROUNDS, help=f"at most (default: {ROUNDS})")
    add("--seed", type=int, default=0, help="of all randomness (default: 0)")
    add("--workdir", help="of rounds and files (default: runs/<dataset>-suspects-<hash>)")
    add("--width", type=int, help="models trained side by side on one device (default: 8)")
    add = parser.add_argument_group("what then").add_argument
    add("--top", type=int, default=10, help="rows of the table to print (default: 10)")
    add(
        "--write",
        metavar="FILE",
        help="the data without suspects, path/cleaned.npz, or with the labels that "
        "held-out models name, path/relabelled.npz",
    )
    add(
        "--confirm",
        dest="confirm_trials",
        type=int,
        metavar="TRIALS",
        help="train so many models each with and without suspects, relabelled, and without "
        "as many at random, and compare their test accuracies",
    )
    add_recipe(parser, model=None)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 2 for bad input, 130 interrupted."""
    kept = "; what is finished is kept, the same command resumes"
    return commands.run_command(_suspects, make_parser().parse_args(argv), kept)


def _suspects(
    run: str | None,
    dataset: str | None,
    workdir: str | None,
    top: int,
    write: str | None,
    confirm_trials: int | None,
    **arguments,
) -> None:
    start = time.perf_counter()
    whole("top", top, least=0)
    if write is not None:
        check_way(Path(write))
    if confirm_trials is not None:
        whole("confirm", confirm_trials, least=2)
    first = None if run is None else open_run(run)
    if first is not None and dataset is None:
        if write or confirm_trials:
            raise InputError(f"--write and --confirm need the data: give {run}'s --dataset")
        folder = location(workdir) if workdir else first.workdir
        found, data = conclude([judge(first, first=True)], folder), None
    else:
        arguments["dataset"] = dataset or "digits"
        data = take_dataset(arguments)
        found = find_suspects(data, workdir, first=first, **arguments)
    with commands.writing(found.workdir, "; the trials are kept"):
        save_suspects(found, found.workdir)
    print_suspects(found, top, time.perf_counter() - start)
    if data is None:
        return
    if write is not None:
        path = location(write)
        with commands.writing(path.parent, "; the ranking is kept"):
            save_dataset(found, data, path)
        print(f"{'written':<23}{path}")
    if confirm_trials is not None:
        print_confirmation(found, confirm(found, data, confirm_trials))


if __name__ == "__main__":
    commands.exit_with(main)
