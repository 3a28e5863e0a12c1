"""Trials that others trained, as a workdir of ours.

jaxmem.adopt_trials("runs/theirs", masks, train, test, tr_labels, tt_labels)
jaxmem.open_run("runs/theirs").memorization
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmem import trials as trials_
from jaxmem.ensemble import Outcomes
from jaxmem.errors import InputError
from jaxmem.files import replacing, write_json
from jaxmem.progress import progress
from jaxmem.results import Run, open_run
from jaxmem.version import __version__

BLOCK = 256  # trials that are written at a time


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
    InputError, naming the file, where arrays are missing or runs differ in size.
    """
    paths = sorted(Path(folder).rglob("aux_arrays.npz"))
    if not paths:
        raise InputError(f"no aux_arrays.npz below {folder}")
    rows = []
    with progress("reading", len(paths), "runs") as bar:
        for path in paths:
            rows.append(_read_run(path))
            if [r.shape for r in rows[-1]] != [r.shape for r in rows[0]]:
                raise InputError(
                    f"{path} is of {rows[-1][0].size} training and {rows[-1][2].size} test "
                    f"examples, {paths[0]} of {rows[0][0].size} and {rows[0][2].size}"
                )
            bar.update()
    return Foreign(*(np.stack(part) for part in zip(*rows, strict=True)))


def _read_run(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = ("train", "removed", "test")
    names = [f"{what}_{part}" for part in parts for what in ("index", "correctness")]
    try:
        with np.load(path) as file:
            missing = [name for name in ("subsample_idx", *names) if name not in file]
            if missing:
                raise InputError(f"{path} lacks {', '.join(missing)}")
            seen, *arrays = (file[name] for name in ("subsample_idx", *names))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    by_part = dict(zip(parts, zip(arrays[::2], arrays[1::2], strict=True), strict=True))
    n = by_part["train"][0].size + by_part["removed"][0].size
    right = {"train": np.zeros(n, bool), "test": np.zeros(by_part["test"][0].size, bool)}
    try:
        for part, (index, correct) in by_part.items():
            right["test" if part == "test" else "train"][index] = correct
        mask = np.zeros(n, bool)
        mask[seen] = True
    except (IndexError, ValueError) as error:
        raise InputError(f"the indices of {path} do not fit its arrays: {error}") from error
    return mask, right["train"], right["test"]


def adopt_trials(
    workdir: str | Path,
    masks: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    tr_labels: np.ndarray | None = None,
    tt_labels: np.ndarray | None = None,
    name: str = "foreign",
) -> Run:
    """Write trials that others trained to a new workdir, and open it.

    masks: bool [T, N], which training examples a trial saw. train, test: bool [T, N] and
    [T, E], which examples it gets right, seen or not; or floating-point margins, which are
    stored too, and count as right above 0 (exact for the label's logit minus the highest
    other; minus their log-sum-exp, an example may be right a little below 0). Labels: int
    [N] and [E]; without them all examples are of one class, so that pairs are not
    restricted. Ids are train-0, … and test-0, …. Raises InputError for shapes that do not
    fit and for a folder that is not new.
    """
    masks, train, test = (np.asarray(a) for a in (masks, train, test))
    if masks.ndim != 2 or masks.dtype != bool:
        raise InputError(
            f"masks are {masks.dtype} {list(masks.shape)}; expected bool [trials, examples]"
        )
    trials, n = masks.shape
    e = test.shape[-1]
    for what, array, shape in (("train", train, (trials, n)), ("test", test, (trials, e))):
        if array.shape != shape:
            raise InputError(
                f"{what} outcomes have shape {list(array.shape)}; masks of {trials} trials "
                f"and {n} examples want {list(shape)}"
            )
        if array.dtype != bool and array.dtype.kind != "f":
            raise InputError(
                f"{what} outcomes are {array.dtype}; expected bool or floating point"
            )
    labels = [
        np.zeros(size, np.int32) if given is None else np.asarray(given).astype(np.int32)
        for given, size in ((tr_labels, n), (tt_labels, e))
    ]
    for what, given, size in zip(("train", "test"), labels, (n, e), strict=True):
        if given.shape != (size,):
            raise InputError(
                f"{what} labels have shape {list(given.shape)}; expected [{size}]"
            )
    margins = train.dtype.kind == test.dtype.kind == "f"
    digest = hashlib.sha256(np.packbits(masks, axis=1)).hexdigest()[:16]
    config = {
        "format": trials_.FORMAT,
        "jaxmem": __version__,
        "dataset": name,
        "data": hashlib.sha256(b"".join(a.tobytes() for a in labels)).hexdigest()[:16],
        "num_classes": int(max(a.max(initial=0) for a in labels)) + 1,
        "model": "foreign",
        "seed": None,
        "sampling": f"masks {digest}",
        "margins": margins,
        "probabilities": False,
    }
    workdir = Path(workdir)
    with trials_.locked(workdir):
        if (workdir / "config.json").exists():
            raise InputError(f"{workdir} holds a run already; give a new folder")
        write_json(workdir / "config.json", config)
        with replacing(workdir / "examples.npz") as partial:
            np.savez(
                partial,
                tr_labels=labels[0],
                tt_labels=labels[1],
                tr_ids=[f"train-{i}" for i in range(n)],
                tt_ids=[f"test-{i}" for i in range(e)],
            )
        store = trials_.create_store(workdir, trials, n, e, margins)
        with progress("writing", trials, "trials") as bar:
            for start in range(0, trials, BLOCK):
                some = slice(start, start + BLOCK)
                numbers = list(range(trials))[some]
                store.append(
                    numbers, _outcomes(masks[some], train[some], test[some], margins)
                )
                bar.update(len(numbers))
    return open_run(workdir)


def _outcomes(masks, train, test, margins: bool) -> Outcomes:
    right, test_right = (a if a.dtype == bool else a > 0 for a in (train, test))
    most = np.finfo(np.float16).max
    accuracy = (right & masks).sum(axis=1) / masks.sum(axis=1).clip(1)
    return Outcomes(
        included=np.packbits(masks, axis=1),
        train_correct=np.packbits(right, axis=1),
        test_correct=np.packbits(test_right, axis=1),
        train_accuracy=accuracy.astype(np.float32),
        test_accuracy=test_right.mean(axis=1, dtype=np.float32),
        final_loss=np.full(len(masks), np.nan, np.float32),
        diverged=np.zeros(len(masks), bool),
        train_margin=np.clip(train, -most, most).astype(np.float16) if margins else None,
        test_margin=np.clip(test, -most, most).astype(np.float16) if margins else None,
    )
