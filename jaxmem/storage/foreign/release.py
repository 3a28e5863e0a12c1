"""The runs of Feldman & Zhang's release, as their `aux_arrays.npz` say."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmem._shared.files import local_path, read_npz
from jaxmem._shared.progress import progress
from jaxmem.errors import InputError
from jaxmem.storage.foreign.numbers import are_whole, as_numbers, is_strange

AUX = (
    "subsample_idx",
    *("index_train", "correctness_train"),
    *("index_removed", "correctness_removed"),
    *("index_test", "correctness_test"),
)


class Foreign(NamedTuple):
    """Outcomes of T trials."""

    masks: np.ndarray  # bool [T, N]
    train: np.ndarray  # bool [T, N], correct; or floating point, margins
    test: np.ndarray  # bool [T, E], or floating point


def read_aux_arrays(folder: str | Path) -> Foreign:
    """The runs of Feldman & Zhang's release: every `aux_arrays.npz` below a folder.

    Each names the training examples that a run saw (`subsample_idx`) and says which of
    those (`index_train`, `correctness_train`), of the removed ones (`…_removed`) and of the
    test set (`…_test`) it gets right. Trials are in the order of the folders' names. Raises
    InputError, naming the file, where arrays are missing, damaged or contradict each other,
    or runs differ in size.
    """
    folder = local_path(folder)
    paths = sorted(folder.rglob("aux_arrays.npz"))
    if not paths:
        raise InputError(f"no aux_arrays.npz below {folder}")
    with progress("reading", len(paths), "runs") as bar:
        for row, path in enumerate(paths):
            run = _read_run(path)
            if row == 0:
                sizes = [part.size for part in run]
                all_runs = Foreign(*(np.zeros((len(paths), size), bool) for size in sizes))
            if [part.size for part in run] != sizes:
                raise InputError(
                    f"{path} is of {run.train.size} training and {run.test.size} test "
                    f"examples, {paths[0]} of {sizes[1]} and {sizes[2]}"
                )
            for part, whole in zip(run, all_runs, strict=True):
                whole[row] = part
            bar.update()
    return all_runs


def _read_run(path: Path) -> Foreign:
    """One run: bool [N], [N] and [E]."""
    arrays = read_npz(path, AUX)
    missing = [name for name in AUX if name not in arrays]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}")
    seen = _aux_index(path, "subsample_idx", arrays)
    in_train, train_right = _aux_part(path, "train", arrays)
    in_removed, removed_right = _aux_part(path, "removed", arrays)
    in_test, test_right = _aux_part(path, "test", arrays)

    if not np.array_equal(np.unique(seen), np.unique(in_train)):
        raise InputError(f"{path}: subsample_idx and index_train name different examples")
    in_all = np.concatenate([in_train, in_removed])
    _check_each_once(path, "index_train and index_removed together", in_all)
    _check_each_once(path, "index_test", in_test)

    mask, train = np.zeros(in_all.size, bool), np.zeros(in_all.size, bool)
    test = np.zeros(in_test.size, bool)
    mask[in_train] = True
    train[in_train] = train_right
    train[in_removed] = removed_right
    test[in_test] = test_right
    return Foreign(mask, train, test)


def _aux_part(path: Path, part: str, arrays: dict) -> tuple[np.ndarray, np.ndarray]:
    """Which examples, int64 [K], and whether each is right, bool [K]."""
    index = _aux_index(path, f"index_{part}", arrays)
    name = f"correctness_{part}"
    correct = as_numbers(f"{path}: {name}", arrays[name], ("examples",), empty=True)
    if correct.size != index.size:
        raise InputError(
            f"{path}: {name} has {correct.size} values, index_{part} {index.size}"
        )
    strange = correct[is_strange(correct)]
    if strange.size:
        raise InputError(f"{path}: {name} holds {strange[0]}; expected bool, or 0 and 1")
    return index, correct != 0


def _aux_index(path: Path, name: str, arrays: dict) -> np.ndarray:
    index = as_numbers(f"{path}: {name}", arrays[name], ("examples",), empty=True)
    strange = index[~are_whole(index)]
    if strange.size or (index.dtype == bool and index.size):
        found = strange[0] if strange.size else "bools"
        raise InputError(
            f"{path}: {name} holds {found}; expected numbers of examples, from 0"
        )
    return index.astype(np.int64)


def _check_each_once(path: Path, what: str, index: np.ndarray) -> None:
    in_order = np.sort(index)
    wrong = np.flatnonzero(in_order != np.arange(index.size))
    if wrong.size:
        first, found = wrong[0], in_order[wrong[0]]
        fault = f"{first} is missing" if found > first else f"{found} is named twice"
        raise InputError(
            f"{path}: {what} should name each of 0 … {index.size - 1} once, but {fault}"
        )
