"""Arrays of trials that others trained: taken for nothing that they are not."""

import hashlib
from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.storage.foreign.labels import check_labels
from jaxmem.storage.foreign.numbers import as_numbers, blocks_of, is_strange
from jaxmem.storage.schema import DIVERGED, FINISHED, MISSING

OF_INDICES = (
    "; of lists of indices make masks = np.zeros((trials, examples), bool); "
    "np.put_along_axis(masks, indices, True, axis=1)"
)


class Checked(NamedTuple):
    """Arrays that fit each other."""

    masks: np.ndarray  # [T, N], as they were given: bool, whole numbers or floating point
    train: np.ndarray  # [T, N], likewise
    test: np.ndarray  # [T, E], likewise
    tr_labels: np.ndarray  # int32 [N]
    tt_labels: np.ndarray  # int32 [E]
    class_names: np.ndarray  # str [K], or [0] where classes are numbers
    margins: bool
    status: np.ndarray  # uint8 [T], of `storage.schema`
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


def check_arrays(masks, train, test, tr_labels, tt_labels, completed) -> Checked:
    """Arrays as others gave them, if they fit; raises InputError, naming what does not."""
    masks = as_numbers("masks", masks, ("trials", "examples"))
    train = as_numbers("train outcomes", train, ("trials", "examples"))
    test = as_numbers("test outcomes", test, ("trials", "examples"))
    trials, n = masks.shape
    done = _check_completed(completed, trials)
    seen, digest = _check_masks(masks, done)
    for what, array, wanted in (("train", train, n), ("test", test, "examples")):
        if array.shape[0] != trials or (array is train and array.shape[1] != n):
            raise InputError(
                f"{what} outcomes have shape {list(array.shape)}; masks of {trials} trials "
                f"and {n} examples want [{trials}, {wanted}]"
            )
    labels = check_labels(tr_labels, tt_labels, n, test.shape[1])
    sides = {
        "train": _check_outcomes("train", train, done),
        "test": _check_outcomes("test", test, done),
    }
    margins = _are_margins(sides)
    status = _status(done & seen, sides["train"], sides["test"], margins)
    return Checked(
        *(masks, train, test),
        *labels,
        margins=margins,
        status=status,
        digest=digest,
        blank={name: side.blank for name, side in sides.items()},
    )


def _check_completed(completed, trials: int) -> np.ndarray:
    """Which trials are completed, bool [T]."""
    if completed is None:
        return np.ones(trials, bool)
    array = as_numbers("completed flags", completed, ("trials",))
    if array.shape != (trials,):
        raise InputError(
            f"completed flags have shape {list(array.shape)}; masks of {trials} trials "
            f"want [{trials}]"
        )
    strange = array[is_strange(array)]
    if strange.size:
        raise InputError(f"completed flags hold {strange[0]}; expected bool, or 0 and 1")
    return array != 0


def _check_masks(masks: np.ndarray, done: np.ndarray) -> tuple[np.ndarray, str]:
    """Which trials saw anything, bool [T], and what names these masks."""
    seen, digest = np.zeros(len(masks), bool), hashlib.sha256()
    for block in blocks_of("checking masks of", len(masks)):
        rows = np.where(done[block, None], masks[block], False)
        strange = rows[is_strange(rows)]
        if strange.size:
            hint = OF_INDICES if masks.dtype.kind in "iu" else ""
            raise InputError(
                f"masks hold {strange[0]}; expected True (or 1) where a trial was trained "
                f"on an example, False (or 0) elsewhere{hint}"
            )
        seen[block] = rows.any(axis=1)
        digest.update(np.packbits(rows != 0, axis=1).data)
    return seen, digest.hexdigest()[:16]


def _check_outcomes(what: str, outcomes: np.ndarray, done: np.ndarray) -> _Side:
    side = _Side(np.ones(len(done), bool), np.zeros(len(done), bool))
    for block in blocks_of(f"checking {what} outcomes of", len(done)):
        rows = np.where(done[block, None], outcomes[block], False)
        side.blank[block] = ~rows.any(axis=1)
        if rows.dtype.kind == "f":
            side = _check_floats(side, block, rows)
            continue
        strange = rows[is_strange(rows)]
        if strange.size:
            raise InputError(
                f"{what} outcomes hold {strange[0]}; expected bool, 0 and 1, or margins in "
                "floating point"
            )
    return side


def _check_floats(side: _Side, block: slice, rows: np.ndarray) -> _Side:
    """What a side holds, with some more rows [M, E] of floating point."""
    unknown = np.isnan(rows)
    side.nan[block] = unknown.any(axis=1)
    margins = rows[is_strange(rows) & ~unknown]
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
    status = np.where(blank, MISSING, FINISHED).astype(np.uint8)
    status[train.nan | test.nan] = DIVERGED
    status[~started] = MISSING
    if not (status == FINISHED).any():
        missing, diverged = count_left_out(status)
        raise InputError(
            f"no trial of {status.size} is finished: {missing} never were (not completed, "
            f"an empty mask or nothing right), {diverged} diverged (NaN)"
        )
    return status


def count_left_out(status: np.ndarray) -> tuple[int, int]:
    """How many trials never finished, and how many diverged, of their status [T]."""
    return int((status == MISSING).sum()), int((status == DIVERGED).sum())
