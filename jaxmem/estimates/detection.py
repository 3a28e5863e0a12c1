"""How well a score finds some of the examples, such as wrong labels."""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from jaxmem.errors import InputError


class Detection(NamedTuple):
    """How well a score finds some of the examples."""

    auc: float  # chance that one of them scores above one of the others; ties count half
    precision: float  # share of them among the K highest scores, where K is their number


def detection(score: np.ndarray, wanted: np.ndarray) -> Detection:
    """How well score, float [N], finds wanted, bool [N]; NaN scores rank lowest.

    The area under the ROC curve by ranks (Mann & Whitney), and precision at the number of
    wanted ones, ties there in expectation. Raises InputError unless some, but not all, are
    wanted.
    """
    score = np.nan_to_num(np.asarray(score, np.float64), nan=-np.inf)
    wanted = np.asarray(wanted, bool)
    count = int(wanted.sum())
    if not 0 < count < wanted.size:
        raise InputError(f"{count} of {wanted.size} examples are wanted: nothing to detect")
    ranks = rankdata(score)[wanted].sum()
    pairs = count * (wanted.size - count)
    auc = (ranks - count * (count + 1) / 2) / pairs
    cut = np.sort(score)[-count]
    above, level = score > cut, score == cut
    share = (count - above.sum()) / level.sum()
    precision = (wanted[above].sum() + share * wanted[level].sum()) / count
    return Detection(float(auc), float(precision))
