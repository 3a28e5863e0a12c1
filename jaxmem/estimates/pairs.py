"""Which memorized training examples influence which test examples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxmem._shared.arguments import difference
from jaxmem.estimates.bits import Words
from jaxmem.estimates.counts import Counts, influence_blocks, rate_difference
from jaxmem.estimates.parts import Part
from jaxmem.estimates.statistics import Alternative, p_value, standard_error


class Pairs(NamedTuple):
    """Training examples and test examples that they influence, strongest first.

    Of equal influences, the lower row in train comes first, then the lower row in test.
    """

    tr_idx: np.ndarray  # int64 [P], row in train
    tt_idx: np.ndarray  # int64 [P], row in test
    infl: np.ndarray  # float64 [P]
    infl_se: np.ndarray  # float64 [P], standard error of infl
    infl_p: np.ndarray  # float64 [P], statistics.p_value of infl
    mem: np.ndarray  # float64 [P], memorization of tr_idx


def pairs_of(
    tr_idx: np.ndarray,
    tt_idx: np.ndarray,
    counts: Counts,
    memorization: np.ndarray,
    alternative: Alternative = "greater",
) -> Pairs:
    """Pairs from their counts, in the order that `Pairs` promises.

    Args:
        tr_idx, tt_idx: int64 [P], rows in train and in test.
        counts: integers [P] each.
        memorization: float64 [N], of all training examples.
        alternative: whether the strongest influence is the highest ("greater") or the
            lowest ("less"); infl_p is the p-value of as extreme a one.
    """
    infl = rate_difference(counts)
    order = np.lexsort((tt_idx, tr_idx, infl if alternative == "less" else -infl))
    tr_idx, counts = tr_idx[order], Counts(*(count[order] for count in counts))
    return Pairs(
        tr_idx,
        tt_idx[order],
        infl[order],
        standard_error(counts),
        p_value(counts, alternative),
        memorization[tr_idx],
    )


def high_pairs(
    included: Words,
    test_correct: Words,
    memorization: np.ndarray,
    infl: float = 0.15,
    mem: float = 0.25,
    parts: Sequence[Part] | None = None,
) -> Pairs:
    """Pairs with influence >= infl and memorization >= mem.

    The thresholds are those of Feldman & Zhang (2020), who took pairs of one class.

    Args:
        included: which of N training examples each trial saw; `Words.of(bits)`.
        test_correct: which of E test examples each trial classified correctly.
        memorization: float64 [N]; NaN, which reaches no threshold, without an estimate.
        infl, mem: the least influence and memorization, in [-1, 1].
        parts: the pairs that count, e.g. `class_parts`; None: all N x E.

    Raises:
        InputError: for a threshold outside [-1, 1].
    """
    infl, mem = difference("infl threshold", infl), difference("mem threshold", mem)
    if parts is None:
        parts = [Part(np.arange(included.count), np.arange(test_correct.count))]
    found = []
    for part in parts:
        memorized = part.train[memorization[part.train] >= mem]
        if not (memorized.size and part.test.size):
            continue
        for rows, block in influence_blocks(included, test_correct, memorized, part.test):
            row, column = np.nonzero(rate_difference(block) >= infl)
            found.append((rows[row], part.test[column], *block.at(row, column)))
    return pairs_of(*joined(found), memorization)


def joined(parts: Sequence[tuple]) -> tuple[np.ndarray, np.ndarray, Counts]:
    """Rows, columns and counts, int64 [P] each, of parts (row, column, four counts)."""
    none = (np.zeros(0, np.int64),) * 6
    row, column, *counts = map(np.concatenate, zip(none, *parts, strict=True))
    return row, column, Counts(*counts)
