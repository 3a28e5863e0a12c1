"""The streaming search against the whole matrix."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import assert_best, random_trials, whole_counts, whole_influence

from jaxmem import InputError
from jaxmem.estimates.bits import Bits, by_product
from jaxmem.estimates.parts import Part, class_parts
from jaxmem.estimates.search import TooManyPairs, search, search_parts, streaming, tiles
from jaxmem.estimates.search.tiles import Grain
from jaxmem.estimates.statistics import z_score


def packed(included, correct):
    return Bits.of(included), Bits.of(correct)


def reached(values, share):
    """A threshold that a share of the values exceeds, and that one of them just reaches."""
    return values[values >= np.nanquantile(values, 1 - share)].min()


def assert_found(found, included, correct, chosen):
    """The pairs found are those of a mask bool [N, E], with their counts."""
    rows, columns = np.nonzero(chosen)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.columns, columns)
    expected = whole_counts(included, correct).at(rows, columns)
    for counted, count in zip(found.counts, expected, strict=True):
        np.testing.assert_array_equal(counted, count)


@pytest.mark.parametrize("shape", [(90, 300, 40), (600, 2100, 300), (40, 30, 270)])
def test_search_is_the_whole_matrix(shape):
    included, correct = random_trials(*shape)
    infl = whole_influence(included, correct)
    threshold = reached(infl, 0.02)
    found = search(*packed(included, correct), threshold, top=7)
    assert_found(found, included, correct, infl >= threshold)
    assert_best(found.of_rows, infl, 7)
    assert_best(found.of_columns, infl.T, 7)


@pytest.mark.parametrize("grain", [Grain(2, 2, 48), Grain(3, 16, 256)])
def test_search_as_accelerators_do(monkeypatch, grain):
    """Some blocks and tiles at a time, by products; neither fills up its last step."""
    monkeypatch.setattr(streaming, "grain", lambda: grain)
    # A CPU multiplies no bfloat16 inside a loop.
    product = functools.partial(by_product, dtype=np.float32)
    monkeypatch.setattr(tiles, "count_both", product)
    included, correct = random_trials(70, 2100, 700)
    infl = whole_influence(included, correct)
    threshold = reached(infl, 0.02)
    tiles.compile_search.cache_clear()
    found = search(*packed(included, correct), threshold, top=3)
    tiles.compile_search.cache_clear()
    assert_found(found, included, correct, infl >= threshold)
    assert_best(found.of_rows, infl, 3)
    assert_best(found.of_columns, infl.T, 3)


# Few shapes, so that few programs are compiled: all of one tile and at most 512 trials.
@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    trials=st.sampled_from([1, 2, 9, 64]),
    n=st.integers(1, 40),
    e=st.integers(1, 40),
    top=st.sampled_from([0, 3]),
    threshold=st.sampled_from([None, -1.0, 0.0, 0.25, 1.0]),
    rates=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 99),
)
def test_any_small_matrix(trials, n, e, top, threshold, rates, seed):
    """Also where hardly any example has an estimate, and where outcomes never vary."""
    rng = np.random.default_rng(seed)
    included = rng.random((trials, n)) < rates[0]
    correct = rng.random((trials, e)) < rates[1]
    infl = whole_influence(included, correct)
    found = search(*packed(included, correct), threshold, top)
    chosen = np.zeros((n, e), bool) if threshold is None else infl >= threshold
    assert_found(found, included, correct, chosen)
    assert_best(found.of_rows, infl, top)
    assert_best(found.of_columns, infl.T, top)


def test_more_wanted_than_there_are():
    included, correct = random_trials(50, 9, 5)
    found = search(*packed(included, correct), top=20)
    infl = whole_influence(included, correct)
    assert found.rows.size == 0
    assert_best(found.of_rows, infl, 20)
    assert_best(found.of_columns, infl.T, 20)


def test_less_memory_changes_nothing():
    included, correct = random_trials(80, 5000, 30)
    whole = search(*packed(included, correct), 0.3, top=3)
    in_chunks = search(*packed(included, correct), 0.3, top=3, memory=0.0019)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(in_chunks), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_cannot_be_searched(monkeypatch):
    included, correct = packed(*random_trials(50, 900, 50))
    with pytest.raises(InputError, match="masks of 49 trials and outcomes of 50"):
        search(Bits(included.packed[1:], 900), correct)
    with pytest.raises(InputError, match=r"0.0001 GiB .* tile of 900 x 50 pairs"):
        search(included, correct, memory=0.0001)
    with pytest.raises(InputError, match="memory nan must be"):
        search(included, correct, memory=np.nan)
    message = r"threshold -1 than memory holds; take a higher"
    with pytest.raises(TooManyPairs, match=message):
        search(included, correct, threshold=-1.0, memory=0.006)
    with pytest.raises(InputError, match="the top are by infl alone"):
        search(included, correct, 2.0, top=3, by="z")
    monkeypatch.setattr(streaming, "MOST_TRIALS", 40)
    with pytest.raises(InputError, match="50 trials are outside"):
        search(included, correct)


@pytest.mark.parametrize("shape", [(90, 300, 40), (600, 2100, 300)])
def test_search_by_z(shape):
    included, correct = random_trials(*shape)
    correct[:, 1], correct[:, 2] = True, False  # all trials agree: z is 0
    z = z_score(whole_counts(included, correct))
    threshold = reached(z, 0.02)
    found = search(*packed(included, correct), threshold, by="z")
    assert_found(found, included, correct, z >= threshold)


def test_more_trials_than_a_product_of_counts_holds():
    """Counts multiply beyond int32; their difference does not."""
    rng = np.random.default_rng(0)
    trials = 60_000
    included = rng.random((trials, 20)) < 0.7
    correct = rng.random((trials, 11)) < np.where(included[:, :11], 0.9, 0.6)
    infl = whole_influence(included, correct)
    found = search(*packed(included, correct), 0.2, top=2)
    assert_found(found, included, correct, infl >= 0.2)
    assert_best(found.of_rows, infl, 2)


def test_parts_are_searched_alone():
    included, correct = random_trials(90, 120, 45)
    rng = np.random.default_rng(0)
    tr_labels, tt_labels = rng.integers(0, 3, 120), rng.integers(1, 4, 45)
    infl = whole_influence(included, correct)
    infl[tr_labels[:, None] != tt_labels] = np.nan
    parts = class_parts(tr_labels, tt_labels)
    none = np.zeros(0, np.int64)
    parts += [Part(none, np.flatnonzero(tt_labels == 3)), Part(parts[0].train, none)]
    found = search_parts(*packed(included, correct), parts, 0.1, top=4)
    assert_found(found, included, correct, infl >= 0.1)
    assert_best(found.of_rows, infl, 4)
    assert_best(found.of_columns, infl.T, 4)
