"""Make a workdir of trials that others trained, for `jaxmem.estimate`.

    python -m jaxmem.adopt runs/theirs --masks=masks.npy --train=train.npy --test=test.npy
    python -m jaxmem.adopt runs/theirs --aux-arrays=FOLDER     # Feldman & Zhang's runs

masks: bool [trials, training examples]. train, test: bool [trials, examples], right or
wrong; or floating point, margins. Labels (int .npy) restrict pairs to one class, as the
paper does.
"""

import argparse
from pathlib import Path

import numpy as np

from jaxmem import commands
from jaxmem.errors import InputError
from jaxmem.foreign import Foreign, adopt_trials, read_aux_arrays


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.adopt`."""
    parser = commands.make_parser("adopt", __doc__)
    add = parser.add_argument
    add("workdir", help="a new folder")
    add(
        "--aux-arrays", type=Path, help="a folder with a run's aux_arrays.npz in each below"
    )
    for name, what in (
        ("masks", "who saw what"),
        ("train", "outcomes"),
        ("test", "outcomes"),
    ):
        add(f"--{name}", type=Path, help=f"an .npy file of {what}")
    add("--train-labels", type=Path, help="an .npy file")
    add("--test-labels", type=Path, help="an .npy file")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 2 for bad input, 130 interrupted."""
    return commands.run_command(_adopt, make_parser().parse_args(argv))


def _adopt(
    workdir: str,
    aux_arrays: Path | None,
    masks: Path | None,
    train: Path | None,
    test: Path | None,
    train_labels: Path | None,
    test_labels: Path | None,
) -> None:
    files = (masks, train, test)
    if aux_arrays is not None and not any(files):
        foreign = read_aux_arrays(aux_arrays)
    elif aux_arrays is None and all(files):
        foreign = Foreign(*map(_load, files))
    else:
        raise InputError("give either --aux-arrays, or --masks, --train and --test")
    labels = [None if path is None else _load(path) for path in (train_labels, test_labels)]
    run = adopt_trials(workdir, *foreign, *labels)
    print(
        f"{run.trials.size:,} trials of {run.tr_labels.size:,} training and "
        f"{run.tt_labels.size:,} test examples: python -m jaxmem.estimate {run.workdir}"
    )


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


if __name__ == "__main__":
    commands.exit_with(main)
