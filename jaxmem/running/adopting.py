"""Trials that others trained, as a workdir of ours.

jaxmem.adopt_trials("runs/theirs", masks, train, test, tr_labels, tt_labels)
jaxmem.open_run("runs/theirs").memorization
"""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxmem._shared.files import local_path, sync
from jaxmem._shared.progress import say
from jaxmem.errors import InputError
from jaxmem.estimates.opening import open_run
from jaxmem.estimates.results import Run
from jaxmem.storage.foreign.arrays import Checked, check_arrays
from jaxmem.storage.foreign.doubts import half_written, order_warning
from jaxmem.storage.foreign.writing import write_checked
from jaxmem.storage.store import TrialStore


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
    count as correct above 0: exact for the label's logit minus the highest other; minus the
    log-sum-exp of the others, a correct example can have a slightly negative margin.
    Labels: whole numbers from 0, or text, [N] and [E], of both or none; without them all
    examples are of one class, so that pairs are not restricted. Ids are train-0, … and
    test-0, ….

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
        store = _write(workdir, partial, str(name), checked)
        doubts = half_written(checked), order_warning(store, checked.tr_labels.size)
    for text in doubts:
        if text:
            say(f"warning: {text}")
    return open_run(workdir)


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


def _write(workdir: Path, partial: Path, name: str, checked: Checked) -> TrialStore:
    try:
        return write_checked(partial, name, checked)
    except InputError as error:  # it knows the folder to fill, and calls it kept
        reason = str(error).partition("; what is finished")[0]
        raise InputError(reason.replace(str(partial), str(workdir))) from error
