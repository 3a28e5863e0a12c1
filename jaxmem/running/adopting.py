"""Trials that others trained, as a workdir of ours.

jaxmem.adopt_trials("runs/theirs", masks, train, test, tr_labels, tt_labels)
jaxmem.open_run("runs/theirs").memorization
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxmem._shared.files import local_path, replacing, sync, write_json
from jaxmem._shared.progress import say
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run, open_run
from jaxmem.storage import store as trials_
from jaxmem.storage.foreign.arrays import Checked, blocks_of, check_arrays
from jaxmem.storage.foreign.doubts import half_written, order_warning
from jaxmem.storage.store import open_store
from jaxmem.training.ensemble import Outcomes
from jaxmem.version import __version__


def adopt_trials(
    workdir: str | Path,
    masks: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    tr_labels: np.ndarray | None = None,
    tt_labels: np.ndarray | None = None,
    name: str = "foreign",
    completed: np.ndarray | None = None,
) -> Run:
    """Write trials that others trained to a new workdir, and open it.

    masks: bool [T, N], which training examples a trial saw. train, test: bool [T, N] and
    [T, E], which examples it gets right, seen or not. Both may be numbers that are all 0 or
    1. Other floating-point outcomes are margins, of both sides, which are stored too, and
    count as right above 0 (exact for the label's logit minus the highest other; minus their
    log-sum-exp, an example may be right a little below 0). Labels: whole numbers from 0, or
    text, [N] and [E], of both or none; without them all examples are of one class, so that
    pairs are not restricted. Ids are train-0, … and test-0, ….

    Trial t is row t. It is left out as never finished where completed (bool [T]) says so,
    its mask is empty, its outcomes are all False or one side's margins all 0.0; and as
    diverged where an outcome is NaN: `run.trials` has the others. Warns on standard error
    where outcomes do not seem to belong to the masks. Arrays may be memory-mapped.

    Raises InputError for what is none of these, does not fit or has no finished trial, and
    for a folder that is neither new nor empty. The folder appears only when it is complete;
    a killed process leaves a `.NAME.partial-…` beside it that can be deleted.
    """
    workdir = local_path(workdir)
    _check_new(workdir)
    checked = check_arrays(masks, train, test, tr_labels, tt_labels, completed)
    with _new_folder(workdir) as partial:
        write_json(partial / "config.json", _config(str(name), checked))
        _write_examples(partial, checked)
        _write_trials(workdir, partial, checked)
        doubts = (
            half_written(checked),
            _order_warning(partial, checked),
        )
    for text in doubts:
        if text:
            say(f"warning: {text}")
    return open_run(workdir)


def _order_warning(folder: Path, checked: Checked) -> str | None:
    return order_warning(open_store(folder), checked.tr_labels.size)


def _order_warning(folder: Path, checked: Checked) -> str | None:
    return order_warning(open_store(folder), checked.tr_labels.size)


def _check_new(workdir: Path) -> None:
    try:
        files = sorted(file.name for file in workdir.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"cannot write to {workdir}: {error.strerror}") from error
    if "config.json" in files:
        raise InputError(f"{workdir} holds a run already; give a new folder")
    if files:
        raise InputError(f"{workdir} holds other files ({files[0]}, …); give a new folder")
    if workdir.samefile("."):
        raise InputError("a new run cannot replace the current folder; give another one")


@contextlib.contextmanager
def _new_folder(workdir: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `workdir` when all went well, else is removed."""
    target = Path(os.path.realpath(workdir))
    partial = target.with_name(
        f".{target.name}.partial-{os.getpid()}-{secrets.token_hex(4)}"
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        yield partial
        try:
            partial.rename(target)  # fails where there is anything in it
        except OSError:
            _check_new(workdir)  # somebody else was faster
            raise
        sync(target.parent)
    except OSError as error:
        raise InputError(f"cannot write to {workdir}: {error.strerror}") from error
    finally:
        _remove(partial)


def _remove(folder: Path) -> None:
    """Remove a folder, though writes that were interrupted may still arrive in it."""
    for _ in range(20):
        if not folder.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.1)


def _config(name: str, checked: Checked) -> dict[str, Any]:
    labels = checked.tr_labels, checked.tt_labels
    return {
        "format": trials_.FORMAT,
        "jaxmem": __version__,
        "dataset": name,
        "data": hashlib.sha256(b"".join(a.tobytes() for a in labels)).hexdigest()[:16],
        "num_classes": int(max(a.max() for a in labels)) + 1,
        "model": "foreign",
        "seed": None,
        "sampling": f"masks {checked.digest}",
        "margins": checked.margins,
        "probabilities": False,
    }


def _write_examples(folder: Path, checked: Checked) -> None:
    with replacing(folder / "examples.npz") as partial:
        np.savez(
            partial,
            tr_labels=checked.tr_labels,
            tt_labels=checked.tt_labels,
            tr_ids=[f"train-{i}" for i in range(checked.tr_labels.size)],
            tt_ids=[f"test-{i}" for i in range(checked.tt_labels.size)],
            class_names=checked.class_names,
        )


def _write_trials(workdir: Path, partial: Path, checked: Checked) -> None:
    sizes = len(checked.masks), checked.tr_labels.size, checked.tt_labels.size
    try:
        store = trials_.create_store(partial, *sizes, checked.margins)
        for some in blocks_of("writing", sizes[0]):
            rows = some.start + np.nonzero(checked.status[some] != trials_.MISSING)[0]
            if rows.size:
                store.append(rows.tolist(), _outcomes(checked, rows))
    except InputError as error:  # it knows the folder to fill, and calls it kept
        reason = str(error).partition("; what is finished")[0]
        raise InputError(reason.replace(str(partial), str(workdir))) from error


def _outcomes(checked: Checked, rows: np.ndarray) -> Outcomes:
    masks, train, test = checked.masks[rows] != 0, checked.train[rows], checked.test[rows]
    right, test_right = train > 0, test > 0
    return Outcomes(
        included=np.packbits(masks, axis=1),
        train_correct=np.packbits(right, axis=1),
        test_correct=np.packbits(test_right, axis=1),
        train_accuracy=((right & masks).sum(axis=1) / masks.sum(axis=1)).astype(np.float32),
        test_accuracy=test_right.mean(axis=1, dtype=np.float32),
        final_loss=np.full(rows.size, np.nan, np.float32),
        diverged=checked.status[rows] == trials_.DIVERGED,
        train_margin=_float16(train) if checked.margins else None,
        test_margin=_float16(test) if checked.margins else None,
    )


def _float16(values: np.ndarray) -> np.ndarray:
    """To float16, whose largest number stands for all larger ones, and for infinity."""
    most = float(np.finfo(np.float16).max)
    return np.clip(values, -most, most).astype(np.float16)
