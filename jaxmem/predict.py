"""Run the models that a workdir kept on another test set: influence without new training.

    python -m jaxmem.run --keep-models --workdir=runs/digits --trials=400
    python -m jaxmem.predict runs/digits --dataset=path/to/new.npz

Of the dataset only the test examples count. Writes WORKDIR/predictions/<dataset>.npz: the
pairs of high influence on the new examples, and `test_correct`, bits [T, ceil(E / 8)].
"""

import argparse

from jaxmem._shared import commands
from jaxmem.data.flags import add_data_flags, take_dataset
from jaxmem.estimates.opening import open_run
from jaxmem.options import add_memory, add_placement, add_thresholds
from jaxmem.reporting.exports import save_predictions
from jaxmem.running.planning import Placing
from jaxmem.running.prediction import predict_trials


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.predict`."""
    parser = commands.make_parser("predict", __doc__)
    add = parser.add_argument
    add("workdir", help="of a run with --keep-models")
    add_data_flags(parser)
    add_thresholds(add)
    add_memory(add)
    add_placement(add)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 2 for bad input, 130 interrupted."""
    return commands.run_command(_predict, make_parser().parse_args(argv))


def _predict(
    workdir: str,
    mem_threshold: float,
    infl_threshold: float,
    memory: float,
    placement: Placing,
    **arguments,
) -> None:
    # Its classes are the models', also those that have no examples there.
    data = take_dataset(arguments, open_run(workdir).all_class_names)
    run = predict_trials(workdir, data, placement)
    pairs = run.pairs(infl_threshold, mem_threshold)
    path = run.workdir / "predictions" / f"{data.name.replace('/', '-')}.npz"
    with commands.writing(path.parent):
        save_predictions(run, pairs, path)
    accuracy = run.test_accuracy
    found = int((pairs.infl_p <= run.discovery_p(memory=memory)).sum())
    rows = {
        "trials": f"{run.trials.size:,}",
        "test examples": f"{run.tt_labels.size:,}",
        "test accuracy": f"{accuracy.mean():.2%} ± {accuracy.std():.2%}",
        "high-influence pairs": f"{pairs.infl.size:,}, of which {found:,} are discoveries",
        "results": str(path),
    }
    for name, value in rows.items():
        print(f"{name:<23}{value}")


if __name__ == "__main__":
    commands.exit_with(main)
