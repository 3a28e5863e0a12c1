"""Who influences whom, example by example: the strongest influences, with their errors."""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from jaxmem.estimates.bits import Bits, Words
from jaxmem.estimates.counts import Counts, rate_difference
from jaxmem.estimates.search.best import Best
from jaxmem.estimates.statistics import interval, p_value, z_score

PAIRS = 2**16  # whose words are looked at together


class Links(NamedTuple):
    """Of the k strongest influences of each of L examples, those that stand out.

    The strongest first. What does not stand out has a p-value (`statistics.p_value`) that
    among all influences of an example is expected once, or more often, by accident.
    """

    # int64 [L, k], of the examples on the other side; -1: no more
    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index
    infl: np.ndarray  # float64 [L, k]; NaN where there is none
    low: np.ndarray  # float64 [L, k], of the 95 % interval
    high: np.ndarray  # float64 [L, k]
    discovery: np.ndarray  # bool [L, k]: among the discoveries of all pairs


def pair_counts(
    included: Words, correct: Words, tr_idx: np.ndarray, tt_idx: np.ndarray
) -> Counts:
    """The counts of pairs of a training and a test example: int64 [P] each.

    tr_idx, tt_idx: int [P], rows in train and in test. Memory does not grow with P.
    """
    hits_in = np.empty(tr_idx.size, np.int64)
    for start in range(0, tr_idx.size, PAIRS):
        part = slice(start, start + PAIRS)
        both = included.words[:, tr_idx[part]] & correct.words[:, tt_idx[part]]
        hits_in[part] = np.bitwise_count(both).sum(axis=0, dtype=np.int64)
    n_in = np.bitwise_count(included.words).sum(axis=0, dtype=np.int64)
    hits = np.bitwise_count(correct.words).sum(axis=0, dtype=np.int64)
    return Counts.from_totals(hits_in, n_in[tr_idx], hits[tt_idx], included.trials)


def links_of(
    included: Bits,
    test_correct: Bits,
    best: Best,
    level: float,
    of_train: bool,
    harmful: bool = False,
) -> Links:
    """Intervals of what a search found, and which of it are discoveries.

    Args:
        included: which of N training examples each trial saw.
        test_correct: which of E test examples each trial classified correctly.
        best: of training examples (of_train) or of test examples.
        level: the highest p-value of a discovery; -inf: there are none.
        harmful: the most negative influences were searched for; these are no discoveries.
    """
    known = best.index >= 0
    line, _ = np.nonzero(known)
    other = best.index[known]
    pairs = (line, other) if of_train else (other, line)
    counts = pair_counts(Words.of(included), Words.of(test_correct), *pairs)
    others = test_correct.count if of_train else included.count
    z = z_score(counts) * (-1 if harmful else 1)
    known[known] = clear = z > norm.isf(1 / max(others, 2))
    counts = Counts(*(count[clear] for count in counts))
    # The test is exact, and slow: the normal tail, which is too thin, sorts out most.
    p = p_value(counts, "less" if harmful else "greater")
    known[known] = clear = p <= 1 / max(others, 2)
    counts, p = Counts(*(count[clear] for count in counts)), p[clear]
    discovery = (p <= level) & (level > 0) & (not harmful)

    def filled(values: np.ndarray, fill: float) -> np.ndarray:
        array = np.full(known.shape, fill, values.dtype)
        array[known] = values
        return array

    infl = filled(rate_difference(counts), np.nan)
    low, high = (filled(bound, np.nan) for bound in interval(counts))
    index = np.where(known, best.index, -1)
    return Links(index, infl, low, high, filled(discovery, False))
