"""Run the models that a workdir kept on another test set: influence without new training.

    python -m jaxmem.run --keep-models --workdir=runs/digits --trials=400
    python -m jaxmem.predict runs/digits --dataset=path/to/new.npz

Of the dataset only the test examples count. Writes WORKDIR/predictions/<dataset>.npz: the
pairs of high influence on the new examples, and `test_correct`, bits [T, ceil(E / 8)].
"""

import argparse
import logging
import sys

import numpy as np

from jaxmem import trials
from jaxmem.data import load_dataset
from jaxmem.ensemble import use_all_cores
from jaxmem.errors import InputError
from jaxmem.predicting import predict_trials


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.predict`."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxmem.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("workdir", help="of a run with --keep-models")
    add("--dataset", required=True, help="as for jaxmem.run")
    add("--data-dir", help="where TFDS keeps prepared datasets")
    add("--mem-threshold", type=float, default=0.25, help="(default: 0.25)")
    add("--infl-threshold", type=float, default=0.15, help="(default: 0.15)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 for bad input."""
    args = make_parser().parse_args(argv)
    try:
        use_all_cores()
        data = load_dataset(args.dataset, args.data_dir)
        run = predict_trials(args.workdir, data)
        pairs = run.pairs(args.infl_threshold, args.mem_threshold)
        path = run.workdir / "predictions" / f"{data.name.replace('/', '-')}.npz"
        try:
            path.parent.mkdir(exist_ok=True)
            with trials.replacing(path) as partial:
                np.savez(
                    partial,
                    trials=run.trials,
                    test_correct=np.packbits(run.test_correct, axis=1),
                    tt_labels=run.tt_labels,
                    tt_ids=run.tt_ids,
                    **pairs._asdict(),
                )
        except OSError as error:
            raise InputError(f"cannot write to {path}: {error.strerror}") from error
    except InputError as error:
        print(f"jaxmem: {error}", file=sys.stderr)
        return 2
    accuracy = run.test_accuracy
    rows = {
        "trials": f"{run.trials.size:,}",
        "test examples": f"{run.tt_labels.size:,}",
        "test accuracy": f"{accuracy.mean():.2%} ± {accuracy.std():.2%}",
        "high-influence pairs": f"{pairs.infl.size:,}; "
        f"{(pairs.infl_z >= run.discovery_z()).sum():,} at a false-discovery rate of 5 %",
        "results": str(path),
    }
    for name, value in rows.items():
        print(f"{name:<23}{value}")
    return 0


if __name__ == "__main__":
    logging.getLogger("absl").setLevel(logging.ERROR)
    sys.exit(main())
