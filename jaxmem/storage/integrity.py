"""Do the rows of finished trials fit each other? Disks and copies lose some."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxmem.storage.config import RunConfig
from jaxmem.storage.schema import FINISHED
from jaxmem.storage.store import TrialStore

CHECKED = 512  # trials whose rows are checked at a time


class Damage(NamedTuple):
    """Finished trials whose rows do not fit each other."""

    trials: np.ndarray  # int64 [K], sorted
    reasons: list[str]  # a line for each kind of damage

    def __str__(self) -> str:
        return "; ".join(self.reasons)


UNDAMAGED = Damage(np.zeros(0, np.int64), [])


def find_damage(
    store: TrialStore,
    config: RunConfig,
    complete: bool = False,
    trials: np.ndarray | None = None,
) -> Damage:
    """Compare each finished trial's rows with each other, and with the subset size.

    complete: also what only some estimates read, such as margins. trials: only these, int
    [M].
    """
    finished = store.finished() if trials is None else trials
    finished = finished[store.status(finished) == FINISHED]
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, finished.size, CHECKED):
        trials = finished[start : start + CHECKED]
        for what, bad in _misfits(store, trials, config, complete):
            if bad.any():
                found.setdefault(what, []).append(trials[bad])
    damaged = {what: np.concatenate(parts) for what, parts in found.items()}
    reasons = [f"{what} of {_numbers(rows)}" for what, rows in damaged.items()]
    none = np.zeros(0, np.int64)
    return Damage(np.unique(np.concatenate([none, *damaged.values()])), reasons)


def _misfits(
    store: TrialStore, trials: np.ndarray, config: RunConfig, complete: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """(what is wrong, with which of the trials: bool [M])."""
    rows = {}
    asked_for = [q.name for q in config.quantities if q.when]
    for quantity in config.quantities:
        name = quantity.name
        wanted = name != "status" and name in store.names
        if wanted and (complete or name not in asked_for):
            rows[name], legible = store.legible(name, trials)
            yield f"{name} (unreadable)", ~legible
    included, correct = rows["included"], rows["train_correct"]
    count = _ones(included)
    if config.trained:
        yield "final_loss (lost)", np.isnan(rows["final_loss"])
    if config.subset_size is not None:
        yield "included (not of the subset size)", count != config.subset_size
    tests = np.full(count.shape, config.test_size)
    for name, hits, total in (
        ("train_correct", _ones(included & correct), count),
        ("test_correct", _ones(rows["test_correct"]), tests),
    ):
        accuracy = rows[name.replace("correct", "accuracy")]
        fits = np.abs(accuracy.astype(np.float64) * total - hits) < 0.5
        yield f"{name} (not of the stored accuracy)", ~fits & (total > 0)
    for side, size in (("train", config.train_size), ("test", config.test_size)):
        if (predicted := rows.get(f"{side}_predicted")) is not None:
            correct = np.unpackbits(rows[f"{side}_correct"], axis=1, count=size) == 1
            fits = ((predicted == 0) == correct).all(axis=1)
            yield f"{side}_predicted (not of {side}_correct)", ~fits
    for name in set(asked_for) & set(rows):
        known = np.isfinite(rows[name].reshape(len(trials), -1)[:, 0])
        if name == "held_out_probability":
            known |= count == config.train_size
        yield f"{name} (lost)", ~known


def _ones(bits: np.ndarray) -> np.ndarray:
    """How many bits are set in each row: int64 [M]."""
    return np.bitwise_count(bits).sum(axis=1, dtype=np.int64)


def _numbers(trials: np.ndarray) -> str:
    """A few trials' numbers, in words."""
    shown = ", ".join(map(str, trials[:5]))
    more = f" and {trials.size - 5:,} others" if trials.size > 5 else ""
    return f"trial{'s' if trials.size > 1 else ''} {shown}{more}"
