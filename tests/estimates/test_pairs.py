"""Pairs from their counts, and from masks and outcomes."""

import numpy as np
import pytest
from matrices import random_trials, whole_counts, whole_influence

from jaxmem import InputError
from jaxmem.estimates.bits import Bits, Words
from jaxmem.estimates.counts import rate_difference
from jaxmem.estimates.pairs import high_pairs, pairs_of
from jaxmem.estimates.parts import class_part, class_parts
from jaxmem.estimates.statistics import p_value, standard_error


def words(*masks):
    return [Words.of(Bits.of(mask)) for mask in masks]


@pytest.mark.parametrize("alternative, sign", [("greater", 1), ("less", -1)])
def test_strongest_first(alternative, sign):
    included, correct = random_trials(20, 30, 25)  # few trials: many ties
    rows, columns = np.nonzero(np.isfinite(whole_influence(included, correct)))
    shuffled = np.random.default_rng(0).permutation(rows.size)
    rows, columns = rows[shuffled], columns[shuffled]
    mem = np.random.default_rng(1).random(30)
    counts = whole_counts(included, correct)
    pairs = pairs_of(rows, columns, counts.at(rows, columns), mem, alternative)
    keys = list(zip(-sign * pairs.infl, pairs.tr_idx, pairs.tt_idx, strict=True))
    assert keys == sorted(keys) and len({*pairs.infl}) < pairs.infl.size
    assert set(zip(pairs.tr_idx, pairs.tt_idx, strict=True)) == set(
        zip(rows, columns, strict=True)
    )
    of_pairs = counts.at(pairs.tr_idx, pairs.tt_idx)
    np.testing.assert_array_equal(pairs.infl, rate_difference(of_pairs))
    np.testing.assert_array_equal(pairs.infl_se, standard_error(of_pairs))
    np.testing.assert_array_equal(pairs.infl_p, p_value(of_pairs, alternative))
    np.testing.assert_array_equal(pairs.mem, mem[pairs.tr_idx])


@pytest.mark.parametrize("same_class", [False, True])
@pytest.mark.parametrize("rows_at_a_time", [1024, 7])
def test_high_pairs_are_those_of_the_matrix(same_class, rows_at_a_time, monkeypatch):
    monkeypatch.setattr("jaxmem.estimates.counts.INFLUENCE_ROWS", rows_at_a_time)
    included, correct = random_trials(90, 80, 40)
    rng = np.random.default_rng(0)
    tr_labels, tt_labels = rng.integers(0, 5, 80), rng.integers(1, 6, 40)
    mem = np.where(rng.random(80) < 0.1, np.nan, rng.uniform(-1, 1, 80))
    infl = whole_influence(included, correct)
    threshold = np.nanquantile(infl, 0.8)
    threshold = infl[infl >= threshold].min()  # a value that occurs: it must be reached
    chosen = (infl >= threshold) & (mem >= 0.25)[:, None]
    if same_class:
        chosen &= tr_labels[:, None] == tt_labels
    parts = class_parts(tr_labels, tt_labels) if same_class else None
    pairs = high_pairs(*words(included, correct), mem, threshold, 0.25, parts)
    assert pairs.infl.size > 10
    np.testing.assert_array_equal(
        np.sort(40 * pairs.tr_idx + pairs.tt_idx), np.flatnonzero(chosen)
    )
    np.testing.assert_array_equal(pairs.infl, infl[pairs.tr_idx, pairs.tt_idx])
    assert (np.diff(pairs.infl) <= 0).all()


def test_no_pairs():
    included, correct = random_trials(30, 20, 10)
    for mem in (np.zeros(20), np.full(20, np.nan), np.ones(20)):
        pairs = high_pairs(*words(included, correct), mem, infl=1.0, mem=0.5)
        assert all(values.size == 0 for values in pairs)
        assert pairs.tr_idx.dtype == pairs.tt_idx.dtype == np.int64
        assert pairs.infl.dtype == pairs.infl_p.dtype == pairs.mem.dtype == np.float64
    with pytest.raises(InputError, match=r"infl threshold 2 must be in \[-1, 1\]"):
        high_pairs(*words(included, correct), np.zeros(20), infl=2)
    with pytest.raises(InputError, match="mem threshold nan"):
        high_pairs(*words(included, correct), np.zeros(20), mem=np.nan)


def test_parts_of_classes():
    tr_labels, tt_labels = np.array([0, 1, 2, 1]), np.array([1, 3, 2, 1])
    parts = class_parts(tr_labels, tt_labels)  # no class that one of the sets lacks
    found = [(part.train.tolist(), part.test.tolist()) for part in parts]
    assert found == [([1, 3], [0, 3]), ([2], [2])]
    absent = class_part(tr_labels, tt_labels, 3)
    assert absent.train.tolist() == [] and absent.test.tolist() == [1]
