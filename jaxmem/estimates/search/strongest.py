"""The strongest influences among all pairs, helpful or harmful, with their uncertainty."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxmem._shared.arguments import difference, whole
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.pairs import Pairs, pairs_of
from jaxmem.estimates.parts import Part
from jaxmem.estimates.search.best import Best
from jaxmem.estimates.search.memory import MEMORY
from jaxmem.estimates.search.streaming import Found, search, search_parts
from jaxmem.estimates.statistics import Alternative


class Strongest(NamedTuple):
    """The strongest influences of a run: pairs, and those of every example."""

    pairs: Pairs  # at or beyond a threshold
    of_train: Best  # [N, top]: test examples, by the influence of the training example
    of_test: Best  # [E, top]: training examples, by their influence on the test example


def strongest(
    included: Bits,
    test_correct: Bits,
    memorization: np.ndarray,
    infl: float | None = 0.15,
    top: int = 0,
    harmful: bool = False,
    parts: Sequence[Part] | None = None,
    memory: float = MEMORY,
) -> Strongest:
    """Search the influence of every training example, memorized or not.

    Args:
        included: which of N training examples each trial saw.
        test_correct: which of E test examples each trial classified correctly.
        memorization: float64 [N].
        infl: the least influence of a pair, in [-1, 1]; None: no pairs.
        top: how many of the highest of each training and of each test example.
        harmful: searches for the most negative influences instead: pairs with influence
            <= -infl, and the lowest of each example. Lowest comes first, and infl_p is the
            p-value of as low an influence.
        parts: the pairs that count, e.g. `class_parts`, that share no test examples; None:
            all.
        memory: GiB that may be taken; the [N, E] matrix never exists.

    Raises:
        InputError: for an argument out of range, or where memory is too small.
    """
    infl = None if infl is None else difference("infl threshold", infl)
    top = whole("top", top, least=0)
    # What lowers the chance of a correct answer raises that of a wrong one as much.
    outcomes = ~test_correct if harmful else test_correct
    if parts is None:
        found = search(included, outcomes, infl, top, memory=memory)
    else:
        found = search_parts(included, outcomes, parts, infl, top, memory)
    if harmful:
        found = _turned(found)
    alternative: Alternative = "less" if harmful else "greater"
    pairs = pairs_of(found.rows, found.columns, found.counts, memorization, alternative)
    return Strongest(pairs, found.of_rows, found.of_columns)


def _turned(found: Found) -> Found:
    """What was found for wrong answers, said of correct ones."""
    return found._replace(
        counts=found.counts.of_errors(),
        of_rows=found.of_rows.negated(),
        of_columns=found.of_columns.negated(),
    )
