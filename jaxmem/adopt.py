"""Make a workdir of trials that others trained, for `jaxmem.estimate`.

    python -m jaxmem.adopt runs/theirs --masks=masks.npy --train=train.npy --test=test.npy
    python -m jaxmem.adopt runs/theirs --aux-arrays=FOLDER     # Feldman & Zhang's runs

masks: bool [trials, training examples]. train, test: bool [trials, examples], right or
wrong; or both floating point, margins. completed: bool [trials], which ones are done; a
_completed.npy beside the masks is found by itself. Trials without a mask or without any
right answer never finished, those with NaN diverged: both are left out. Labels (.npy of
whole numbers or text) restrict pairs to one class, as the paper does.
"""

import argparse

import numpy as np

from jaxmem._shared import commands
from jaxmem._shared.files import local_path, read_npy
from jaxmem.errors import InputError
from jaxmem.running.adopting import adopt_trials
from jaxmem.storage.foreign.arrays import count_left_out
from jaxmem.storage.foreign.release import Foreign, read_aux_arrays
from jaxmem.storage.store import TrialStore


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.adopt`."""
    parser = commands.make_parser("adopt", __doc__)
    add = parser.add_argument
    add("workdir", help="a new folder")
    add("--aux-arrays", help="a folder that is searched for aux_arrays.npz, one a trial")
    for name, what in (
        ("masks", "who saw what"),
        ("train", "outcomes"),
        ("test", "outcomes"),
    ):
        add(f"--{name}", help=f"an .npy file of {what}")
    add(
        "--completed",
        help="an .npy file of who is done (default: _completed.npy beside masks, if any)",
    )
    add("--train-labels", help="an .npy file")
    add("--test-labels", help="an .npy file")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 2 for bad input, 130 interrupted."""
    return commands.run_command(_adopt, make_parser().parse_args(argv))


def _adopt(
    workdir: str,
    aux_arrays: str | None,
    masks: str | None,
    train: str | None,
    test: str | None,
    completed: str | None,
    train_labels: str | None,
    test_labels: str | None,
) -> None:
    if aux_arrays is not None and not any((masks, train, test, completed)):
        foreign = read_aux_arrays(aux_arrays)
        done = None
    elif aux_arrays is None and masks and train and test:
        foreign = Foreign(_load(masks), _load(train), _load(test))
        done = _load_completed(masks, completed)
    else:
        raise InputError(
            "give either --aux-arrays, or --masks, --train and --test (and --completed)"
        )
    tr_labels, tt_labels = (
        None if path is None else _load(path) for path in (train_labels, test_labels)
    )
    run = adopt_trials(workdir, *foreign, tr_labels, tt_labels, completed=done)
    assert isinstance(run.reader, TrialStore)  # it was opened, not merged
    missing, diverged = count_left_out(run.reader.status())
    print(
        f"{run.trials.size:,} trials of {run.tr_labels.size:,} training and "
        f"{run.tt_labels.size:,} test examples, {missing:,} never finished, "
        f"{diverged:,} diverged: python -m jaxmem.estimate {run.workdir}"
    )


def _load_completed(masks: str, completed: str | None) -> np.ndarray | None:
    if completed is not None:
        return _load(completed)
    beside = local_path(masks).with_name("_completed.npy")
    return read_npy(beside) if beside.exists() else None


def _load(path: str) -> np.ndarray:
    return read_npy(local_path(path))


if __name__ == "__main__":
    commands.exit_with(main)
