"""Which influences among all pairs are discoveries."""

import numpy as np
from scipy.stats import norm

from jaxmem.errors import InputError
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.search.memory import MEMORY
from jaxmem.estimates.search.pairs_above import TooManyPairs
from jaxmem.estimates.search.streaming import search
from jaxmem.estimates.statistics import discoveries, p_value

FALSE_POSITIVES = 100_000  # expected in the first search
NARROWER = 64  # times, where memory does not hold the pairs of a tail


def discovery_level(
    included: Bits,
    correct: Bits,
    tests: int,
    rate: float = 0.05,
    memory: float = MEMORY,
    false_positives: float = FALSE_POSITIVES,
) -> float:
    """The highest p-value of a discovery among all pairs; -inf if there is none.

    Benjamini & Hochberg (1995), over the one-sided exact tests of infl > 0
    (`statistics.p_value`) of every pair with an estimate, across classes: whoever looks for
    the highest influences has looked at all of them. p-values are computed only for pairs
    in the upper tail of z, which is widened while it may lack discoveries; this is
    conservative. Tests of pairs that share an example depend on each other.

    Args:
        included: which of N training examples each trial saw.
        correct: which of E test examples each trial classified correctly.
        tests: how many pairs have an estimate.
        rate: the false-discovery rate, in (0, 1).
        memory: GiB for the search of the tail; where it holds fewer pairs than there may be
            discoveries, the level is that of those it holds.
        false_positives: how many are expected in the first tail; changes the time alone.

    Raises:
        InputError: for a rate outside (0, 1), and as `search` does.
    """
    if not 0 < rate < 1:
        raise InputError(f"false-discovery rate {rate} is outside (0, 1)")
    if not tests:
        return -np.inf
    level, p, narrowed = min(rate, false_positives / tests), None, False
    while True:
        try:
            found = search(included, correct, norm.isf(level), by="z", memory=memory)
        except TooManyPairs:
            if p is not None:
                break  # a wider tail does not fit: the last one is full of discoveries
            level, narrowed = level / NARROWER, True
            continue
        p = p_value(found.counts)
        if narrowed or level == rate or rate * p.size / tests < level:
            break
        level = min(rate, 4 * rate * p.size / tests)  # more of the tail is needed
    count = discoveries(p, tests, rate)
    return float(np.sort(p)[count - 1]) if count else -np.inf
