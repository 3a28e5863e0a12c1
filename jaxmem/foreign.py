"""Trials that others trained, as a workdir of ours.

jaxmem.adopt_trials("runs/theirs", masks, train, test, tr_labels, tt_labels)
jaxmem.open_run("runs/theirs").memorization
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmem import trials as trials_
from jaxmem.ensemble import Outcomes
from jaxmem.errors import InputError
from jaxmem.files import local_path, read_npz, replacing, sync, write_json
from jaxmem.progress import progress
from jaxmem.results import Run, open_run
from jaxmem.version import __version__

BLOCK = 256  # trials that are read or written at a time
MOST = 2**31 - 2  # of labels and numbers of examples; one more is an int32 too
SURE = 3  # standard errors
ENOUGH_TRIALS = 10  # to doubt the order of rows
ENOUGH_EXAMPLES = 50  # of which a finished trial gets some right
AUX = (
    "subsample_idx",
    *("index_train", "correctness_train"),
    *("index_removed", "correctness_removed"),
    *("index_test", "correctness_test"),
)
OF_INDICES = (
    "; of lists of indices make masks = np.zeros((trials, examples), bool); "
    "np.put_along_axis(masks, indices, True, axis=1)"
)


class Foreign(NamedTuple):
    """Outcomes of T trials."""

    masks: np.ndarray  # bool [T, N]
    train: np.ndarray  # bool [T, N], correct; or floating point, margins
    test: np.ndarray  # bool [T, E], or floating point


# The authors' release.


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
    sizes = all_runs = None
    with progress("reading", len(paths), "runs") as bar:
        for row, path in enumerate(paths):
            run = _read_run(path)
            if all_runs is None:
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
    right = _as_array(f"{path}: {name}", arrays[name], ("examples",), empty=True)
    if right.size != index.size:
        raise InputError(
            f"{path}: {name} has {right.size} values, index_{part} {index.size}"
        )
    strange = right[_is_strange(right)]
    if strange.size:
        raise InputError(f"{path}: {name} holds {strange[0]}; expected bool, or 0 and 1")
    return index, right != 0


def _aux_index(path: Path, name: str, arrays: dict) -> np.ndarray:
    index = _as_array(f"{path}: {name}", arrays[name], ("examples",), empty=True)
    strange = index[~_are_whole(index)]
    if strange.size or (index.dtype == bool and index.size):
        found = strange[0] if strange.size else "bools"
        raise InputError(
            f"{path}: {name} holds {found}; expected numbers of examples, from 0"
        )
    return index.astype(np.int64)


def _check_each_once(path: Path, what: str, index: np.ndarray) -> None:
    in_order = np.sort(index)
    wrong = np.nonzero(in_order != np.arange(index.size))[0]
    if wrong.size:
        first, found = wrong[0], in_order[wrong[0]]
        fault = f"{first} is missing" if found > first else f"{found} is named twice"
        raise InputError(
            f"{path}: {what} should name each of 0 … {index.size - 1} once, but {fault}"
        )


# Any trials.


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
    checked = _check(masks, train, test, tr_labels, tt_labels, completed)
    with _new_folder(workdir) as partial:
        write_json(partial / "config.json", _config(str(name), checked))
        _write_examples(partial, checked)
        _write_trials(workdir, partial, checked)
        doubts = _half_written(checked), order_warning(open_run(partial))
    for text in doubts:
        if text:
            print(f"jaxmem: warning: {text}", file=sys.stderr)
    return open_run(workdir)


class _Checked(NamedTuple):
    """Arrays that fit each other."""

    masks: np.ndarray  # [T, N], as they were given: bool, whole numbers or floating point
    train: np.ndarray  # [T, N], likewise
    test: np.ndarray  # [T, E], likewise
    tr_labels: np.ndarray  # int32 [N]
    tt_labels: np.ndarray  # int32 [E]
    margins: bool
    status: np.ndarray  # uint8 [T], of `jaxmem.trials`
    digest: str  # of the masks
    blank: dict[str, np.ndarray]  # of train and test: bool [T], nothing is right


class _Side(NamedTuple):
    """What the outcomes of one side hold, in the completed trials."""

    blank: np.ndarray  # bool [T]: all are False or 0
    nan: np.ndarray  # bool [T]: some are NaN
    margin: float | None = None  # a value that is no outcome, if there is one
    lowest: float = np.inf
    highest: float = -np.inf
    whole: bool = True  # all values are whole numbers


def _check(masks, train, test, tr_labels, tt_labels, completed) -> _Checked:
    masks = _as_array("masks", masks, ("trials", "examples"))
    train = _as_array("train outcomes", train, ("trials", "examples"))
    test = _as_array("test outcomes", test, ("trials", "examples"))
    trials, n = masks.shape
    done = _check_completed(completed, trials)
    seen, digest = _check_masks(masks, done)
    for what, array, wanted in (("train", train, n), ("test", test, "examples")):
        if array.shape[0] != trials or (array is train and array.shape[1] != n):
            raise InputError(
                f"{what} outcomes have shape {list(array.shape)}; masks of {trials} trials "
                f"and {n} examples want [{trials}, {wanted}]"
            )
    labels = _check_labels(tr_labels, tt_labels, n, test.shape[1])
    sides = {
        "train": _check_outcomes("train", train, done),
        "test": _check_outcomes("test", test, done),
    }
    margins = _are_margins(sides)
    return _Checked(
        *(masks, train, test),
        *labels,
        margins=margins,
        status=_status(done & seen, *sides.values(), margins),
        digest=digest,
        blank={name: side.blank for name, side in sides.items()},
    )


def _as_array(what: str, given, dims: tuple[str, ...], empty: bool = False) -> np.ndarray:
    """Numbers or bools of as many dimensions as there are `dims`."""
    expected = f"bool or numbers [{', '.join(dims)}]"
    if isinstance(given, np.ma.MaskedArray):
        raise InputError(f"{what} are a masked array; fill it, as with .filled(np.nan)")
    try:
        array = np.asarray(given)
    except (ValueError, TypeError) as error:  # rows of several lengths, for one
        reason = str(error).splitlines()[0]
        raise InputError(f"{what} are not {expected}: {reason}") from None
    if array.dtype.kind not in "biuf":
        kind = "structured" if array.dtype.names else array.dtype
        raise InputError(f"{what} are {kind} {list(array.shape)}; expected {expected}")
    if array.ndim != len(dims):
        raise InputError(
            f"{what} are {array.dtype} {list(array.shape)}; expected {expected}"
        )
    if array.size == 0 and not empty:
        none = dims[array.shape.index(0)]
        raise InputError(f"{what} have shape {list(array.shape)}: there are no {none}")
    return array


def _is_strange(values: np.ndarray) -> np.ndarray:
    """Where values are neither 0 nor 1; NaN is strange too."""
    if values.dtype == bool:
        return np.zeros(values.shape, bool)
    return (values != 0) & (values != 1)


def _are_whole(values: np.ndarray) -> np.ndarray:
    """Where values are whole numbers from 0 to MOST."""
    values = values.astype(np.float64)  # MOST is beyond float16
    return (values >= 0) & (values <= MOST) & (np.trunc(values) == values)


def _blocks(doing: str, trials: int) -> Iterator[slice]:
    """All rows, BLOCK at a time."""
    with progress(doing, trials, "trials") as bar:
        for start in range(0, trials, BLOCK):
            yield slice(start, min(start + BLOCK, trials))
            bar.update(min(BLOCK, trials - start))


def _check_completed(completed, trials: int) -> np.ndarray:
    """Which trials are completed, bool [T]."""
    if completed is None:
        return np.ones(trials, bool)
    array = _as_array("completed flags", completed, ("trials",))
    if array.shape != (trials,):
        raise InputError(
            f"completed flags have shape {list(array.shape)}; masks of {trials} trials "
            f"want [{trials}]"
        )
    strange = array[_is_strange(array)]
    if strange.size:
        raise InputError(f"completed flags hold {strange[0]}; expected bool, or 0 and 1")
    return array != 0


def _check_masks(masks: np.ndarray, done: np.ndarray) -> tuple[np.ndarray, str]:
    """Which trials saw anything, bool [T], and what names these masks."""
    seen, digest = np.zeros(len(masks), bool), hashlib.sha256()
    for some in _blocks("checking masks of", len(masks)):
        rows = np.where(done[some, None], masks[some], False)
        strange = rows[_is_strange(rows)]
        if strange.size:
            hint = OF_INDICES if masks.dtype.kind in "iu" else ""
            raise InputError(
                f"masks hold {strange[0]}; expected True (or 1) where a trial was trained "
                f"on an example, False (or 0) elsewhere{hint}"
            )
        seen[some] = rows.any(axis=1)
        digest.update(np.packbits(rows != 0, axis=1))
    return seen, digest.hexdigest()[:16]


def _check_outcomes(what: str, outcomes: np.ndarray, done: np.ndarray) -> _Side:
    side = _Side(np.ones(len(done), bool), np.zeros(len(done), bool))
    for some in _blocks(f"checking {what} outcomes of", len(done)):
        rows = np.where(done[some, None], outcomes[some], False)
        side.blank[some] = ~rows.any(axis=1)
        if rows.dtype.kind == "f":
            side = _check_floats(side, some, rows)
            continue
        strange = rows[_is_strange(rows)]
        if strange.size:
            raise InputError(
                f"{what} outcomes hold {strange[0]}; expected bool, 0 and 1, or margins in "
                "floating point"
            )
    return side


def _check_floats(side: _Side, some: slice, rows: np.ndarray) -> _Side:
    """What a side holds, with some more rows [M, E] of floating point."""
    unknown = np.isnan(rows)
    side.nan[some] = unknown.any(axis=1)
    margins = rows[_is_strange(rows) & ~unknown]
    if not margins.size:
        return side
    finite = margins[np.isfinite(margins)]
    return side._replace(
        margin=float(margins[0]) if side.margin is None else side.margin,
        # 0 and 1 change neither sign nor whether anything is above 1.
        lowest=min(side.lowest, float(margins.min())),
        highest=max(side.highest, float(margins.max())),
        whole=side.whole and bool((finite % 1 == 0).all()),
    )


def _are_margins(sides: dict[str, _Side]) -> bool:
    """Whether both sides are margins; refuses one side alone, and what is no margin."""
    of_margins = [name for name, side in sides.items() if side.margin is not None]
    if not of_margins:
        return False
    found = [sides[name] for name in of_margins]
    name, value = of_margins[0], found[0].margin
    if min(side.lowest for side in found) >= 0:
        highest = max(side.highest for side in found)
        kind = "probabilities" if highest <= 1 else "classes"
        if highest <= 1 or all(side.whole for side in found):
            raise InputError(
                f"{name} outcomes hold {value:g} and nothing below 0: these look like "
                f"{kind}; give margins, which are above 0 where an example is right and "
                "below where it is wrong, or outcomes (bool)"
            )
    if len(of_margins) == 1:
        (other,) = sides.keys() - {name}
        raise InputError(
            f"{name} outcomes are margins (one is {value:g}), {other} outcomes are right "
            f"or wrong; give both as margins, or both as outcomes ({name} > 0)"
        )
    return True


def _status(started: np.ndarray, train: _Side, test: _Side, margins: bool) -> np.ndarray:
    """uint8 [T]; raises InputError where no trial is finished."""
    if margins:  # no trained model's are exactly 0 for all examples of a side
        blank = train.blank | test.blank
    else:
        blank = train.blank & test.blank
    status = np.where(blank, trials_.MISSING, trials_.FINISHED).astype(np.uint8)
    status[train.nan | test.nan] = trials_.DIVERGED
    status[~started] = trials_.MISSING
    if not (status == trials_.FINISHED).any():
        missing, diverged = count_left_out(status)
        raise InputError(
            f"no trial of {status.size} is finished: {missing} never were (not completed, "
            f"an empty mask or nothing right), {diverged} diverged (NaN)"
        )
    return status


def count_left_out(status: np.ndarray) -> tuple[int, int]:
    """How many trials never finished, and how many diverged, of their status [T]."""
    return tuple(int((status == s).sum()) for s in (trials_.MISSING, trials_.DIVERGED))


# Labels.


def _check_labels(tr_labels, tt_labels, n: int, e: int) -> tuple[np.ndarray, np.ndarray]:
    """int32 [N] and [E]; text becomes its place among all the texts, sorted."""
    if tr_labels is None and tt_labels is None:
        return np.zeros(n, np.int32), np.zeros(e, np.int32)
    if tr_labels is None or tt_labels is None:
        given, other = ("test", "train") if tr_labels is None else ("train", "test")
        raise InputError(
            f"{given} labels are given and {other} labels are not; give both or neither"
        )
    train, test = _as_labels("train", tr_labels, n), _as_labels("test", tt_labels, e)
    if train.dtype.kind == test.dtype.kind and train.dtype.kind in "US":
        _, both = np.unique(np.concatenate([train, test]), return_inverse=True)
        train, test = both[:n], both[n:]
    elif "U" in (kinds := train.dtype.kind + test.dtype.kind) or "S" in kinds:
        raise InputError(
            f"train labels are {train.dtype}, test labels {test.dtype}; give both as "
            "numbers, or both as text"
        )
    return train.astype(np.int32), test.astype(np.int32)


def _as_labels(what: str, given, size: int) -> np.ndarray:
    """Whole numbers from 0, or text, [size]."""
    what = f"{what} labels"
    try:
        array = np.asarray(given)
    except (ValueError, TypeError):
        raise InputError(f"{what} have several lengths; expected [{size}]") from None
    if array.dtype.kind in "OT" and all(isinstance(label, str) for label in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "biufUS" or isinstance(given, np.ma.MaskedArray):
        kind = type(given).__name__ if array.dtype.names else array.dtype
        raise InputError(f"{what} are {kind}; expected whole numbers or text [{size}]")
    if array.shape != (size,):
        hint = "; of one-hot rows give .argmax(axis=1)" if array.ndim == 2 else ""
        raise InputError(f"{what} have shape {list(array.shape)}; expected [{size}]{hint}")
    if array.dtype.kind in "iuf":
        good = _are_whole(array)
        if not good.all():
            raise InputError(
                f"{what} hold {array[~good][0]}; expected whole numbers from 0 to "
                f"{MOST}, or text"
            )
    return array


# Writing.


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


def _config(name: str, checked: _Checked) -> dict[str, Any]:
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


def _write_examples(folder: Path, checked: _Checked) -> None:
    with replacing(folder / "examples.npz") as partial:
        np.savez(
            partial,
            tr_labels=checked.tr_labels,
            tt_labels=checked.tt_labels,
            tr_ids=[f"train-{i}" for i in range(checked.tr_labels.size)],
            tt_ids=[f"test-{i}" for i in range(checked.tt_labels.size)],
        )


def _write_trials(workdir: Path, partial: Path, checked: _Checked) -> None:
    sizes = len(checked.masks), checked.tr_labels.size, checked.tt_labels.size
    try:
        store = trials_.create_store(partial, *sizes, checked.margins)
        for some in _blocks("writing", sizes[0]):
            rows = some.start + np.nonzero(checked.status[some] != trials_.MISSING)[0]
            if rows.size:
                store.append(rows.tolist(), _outcomes(checked, rows))
    except InputError as error:  # it knows the folder to fill, and calls it kept
        reason = str(error).partition("; what is finished")[0]
        raise InputError(reason.replace(str(partial), str(workdir))) from error


def _outcomes(checked: _Checked, rows: np.ndarray) -> Outcomes:
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


# Doubts.


def _half_written(checked: _Checked) -> str | None:
    """Of trials of which only one side's outcomes seem to be written."""
    finished = checked.status == trials_.FINISHED
    for name, other in (("train", "test"), ("test", "train")):
        enough = getattr(checked, name).shape[1] >= ENOUGH_EXAMPLES
        blank = checked.blank[name] & finished
        if enough and blank.any() and not blank[finished].all():
            return (
                f"{blank.sum()} of {finished.sum()} trials (the first is {blank.argmax()}) "
                f"get no {name} example right, though some {other} examples; if they never "
                "finished, say so by `completed`"
            )
    return None


def order_warning(run: Run) -> str | None:
    """What to tell the user where outcomes seem not to belong to the masks, else None.

    A trial's difference is its mean over the examples that it saw minus that over the
    others, of: right (1 or 0) minus the mean of all trials there, so that it is no matter
    how hard the examples are that are seen often. It should be above 0, on average, by SURE
    standard errors over trials. Of fewer than ENOUGH_TRIALS trials nothing is said.
    """
    blocks = [run.trials[some] for some in _blocks("comparing", run.trials.size)]
    sees, hits = 0, 0
    for trials in blocks:
        included, right = _bits_of(run, trials)
        sees, hits = sees + included.sum(axis=0), hits + right.sum(axis=0)
    if not ((sees > 0) & (sees < run.trials.size)).any():
        return "no example was seen by some trials and not by others: none has an estimate"
    if run.trials.size < ENOUGH_TRIALS:
        return None
    rates = hits / run.trials.size
    parts = [_differences(*_bits_of(run, trials), rates) for trials in blocks]
    differences, inside, outside = np.concatenate(parts, axis=1)
    return _doubt(differences, inside.mean(), outside.mean())


def _bits_of(run: Run, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """bool [M, N]: what some trials saw, and what they get right."""
    return tuple(
        np.unpackbits(run.store.read(name, trials), axis=1, count=run.tr_labels.size) == 1
        for name in ("included", "train_correct")
    )


def _differences(included: np.ndarray, right: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Of the trials that saw some and not all: float64 [3, M].

    Their differences, and shares of right answers among the seen and the other examples.
    """
    some = included.any(axis=1) & ~included.all(axis=1)
    included, right = included[some], right[some]
    n_in = included.sum(axis=1)
    n_out = included.shape[1] - n_in
    inside = (right & included).sum(axis=1) / n_in
    outside = (right & ~included).sum(axis=1) / n_out
    expected_in = included @ rates
    expected = expected_in / n_in - (rates.sum() - expected_in) / n_out
    return np.stack([inside - outside - expected, inside, outside])


def _doubt(differences: np.ndarray, inside: float, outside: float) -> str | None:
    """The warning, of the trials' differences [T] and the mean shares of right answers."""
    if differences.size < ENOUGH_TRIALS:
        return None
    mean = differences.mean()
    error = differences.std(ddof=1) / np.sqrt(differences.size)
    noise = 1e-12  # of the arithmetic
    if mean > max(SURE * error, noise):
        return None
    shares = f"({100 * inside:.1f} % against {100 * outside:.1f} %)"
    order = "the rows of the outcomes are in another order than the masks"
    if mean < -max(SURE * error, noise):
        return (
            "trials are right less often on the examples that they saw than on the others "
            f"{shares}: the masks may be inverted (True must mean: was trained on), or "
            f"{order}"
        )
    return (
        "trials are not clearly more often right on the examples that they saw than on the "
        f"others {shares}: either nothing is memorized, or {order}"
    )
