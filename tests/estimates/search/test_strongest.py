"""The strongest influences, helpful and harmful, against the whole matrix."""

import numpy as np
import pytest
from matrices import assert_best, random_trials, whole_counts, whole_influence

from jaxmem import InputError
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.pairs import pairs_of
from jaxmem.estimates.parts import class_parts
from jaxmem.estimates.search import strongest


@pytest.mark.parametrize("harmful", [False, True])
@pytest.mark.parametrize("same_class", [False, True])
def test_strongest_of_the_matrix(harmful, same_class):
    included, correct = random_trials(90, 120, 45)
    rng = np.random.default_rng(0)
    tr_labels, tt_labels = rng.integers(0, 3, 120), rng.integers(0, 3, 45)
    mem = rng.random(120)
    parts = class_parts(tr_labels, tt_labels) if same_class else None
    found = strongest(
        Bits.of(included), Bits.of(correct), mem, 0.1, 4, harmful, parts=parts
    )
    sign = -1 if harmful else 1
    infl = sign * whole_influence(included, correct)
    if same_class:
        infl[tr_labels[:, None] != tt_labels] = np.nan
    rows, columns = np.nonzero(infl >= 0.1)
    counts = whole_counts(included, correct).at(rows, columns)
    expected = pairs_of(rows, columns, counts, mem, "less" if harmful else "greater")
    assert expected.infl.size > 20
    for values, others in zip(found.pairs, expected, strict=True):
        np.testing.assert_array_equal(values, others)
    for best, matrix in ((found.of_train, infl), (found.of_test, infl.T)):
        assert_best(best._replace(infl=sign * best.infl), matrix, 4)


def test_what_is_no_search():
    included, correct = random_trials(30, 20, 10)
    bits = Bits.of(included), Bits.of(correct)
    with pytest.raises(InputError, match=r"infl threshold 1.5 must be in \[-1, 1\]"):
        strongest(*bits, np.zeros(20), infl=1.5)
    with pytest.raises(InputError, match="top -1 must be at least 0"):
        strongest(*bits, np.zeros(20), top=-1)
    none = strongest(*bits, np.zeros(20), infl=None)
    assert none.pairs.infl.size == 0 and none.of_test.index.shape == (10, 0)
