"""Do the outcomes of trials that others trained belong to their masks?"""

import numpy as np

from jaxmem.storage.foreign.arrays import Checked
from jaxmem.storage.foreign.numbers import blocks_of
from jaxmem.storage.schema import FINISHED
from jaxmem.storage.store import TrialStore

SURE = 3  # standard errors
ENOUGH_TRIALS = 10  # to doubt the order of rows
ENOUGH_EXAMPLES = 50  # of which a finished trial gets some right


def half_written(checked: Checked) -> str | None:
    """What to say of trials of which only one side's outcomes seem to be written."""
    finished = checked.status == FINISHED
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


def order_warning(store: TrialStore, n: int) -> str | None:
    """What to tell the user where outcomes seem not to belong to the masks, else None.

    A trial's difference is its mean over the examples that it saw minus that over the
    others, of: right (1 or 0) minus the mean of all trials there, so that it is no matter
    how hard the examples are that are seen often. It should be above 0, on average, by SURE
    standard errors over trials. Of fewer than ENOUGH_TRIALS trials nothing is said.
    """
    finished = np.flatnonzero(store.status() == FINISHED)
    blocks = [finished[part] for part in blocks_of("comparing", finished.size)]
    sees, hits = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for trials in blocks:
        included, correct = _bits_of(store, n, trials)
        sees, hits = sees + included.sum(axis=0), hits + correct.sum(axis=0)
    if not ((sees > 0) & (sees < finished.size)).any():
        return "no example was seen by some trials and not by others: none has an estimate"
    if finished.size < ENOUGH_TRIALS:
        return None
    rates = hits / finished.size
    parts = [_differences(*_bits_of(store, n, trials), rates) for trials in blocks]
    differences, inside, outside = np.concatenate(parts, axis=1)
    return _doubt(differences, inside.mean(), outside.mean())


def _bits_of(
    store: TrialStore, n: int, trials: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """bool [M, N]: what some trials saw, and what they get right."""
    return tuple(
        np.unpackbits(store.read(name, trials), axis=1, count=n) == 1
        for name in ("included", "train_correct")
    )


def _differences(
    included: np.ndarray, correct: np.ndarray, rates: np.ndarray
) -> np.ndarray:
    """Of the trials that saw some and not all: float64 [3, M].

    Their differences, and shares of right answers among the seen and the other examples.
    """
    part = included.any(axis=1) & ~included.all(axis=1)
    included, correct = included[part], correct[part]
    n_in = included.sum(axis=1)
    n_out = included.shape[1] - n_in
    inside = (correct & included).sum(axis=1) / n_in
    outside = (correct & ~included).sum(axis=1) / n_out
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
