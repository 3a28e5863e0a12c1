"""Columns in the tiles' order and back."""

import numpy as np
from matrices import random_trials

from jaxmem.estimates.bits import Bits, words_of
from jaxmem.estimates.search.columns import (
    COLUMNS,
    GROUP,
    Columns,
    column_number,
    group_maxima,
)


def make(trials=70, e=300):
    _, correct = random_trials(trials, 5, e)
    return correct, Columns.of(Bits.of(correct))


def test_columns_come_back_in_order():
    correct, columns = make()
    hits = correct.sum(axis=0)
    assert columns.tiles.hits.shape == (2, COLUMNS) and columns.count == 300
    in_order = columns.in_order(np.stack([columns.tiles.hits.reshape(-1)] * 3))
    np.testing.assert_array_equal(in_order, [hits] * 3)
    np.testing.assert_array_equal(columns.hits[:300], hits)
    words = words_of(Bits.of(correct))
    chosen = np.array([299, 0, 17, 255, 256, 17])
    np.testing.assert_array_equal(columns.words_of(chosen), words[:, chosen])
    tiles = columns.tiles.words.transpose(1, 0, 2).reshape(len(words), -1)
    np.testing.assert_array_equal(columns.in_order(tiles), words[:, :300])


def test_groups_are_neighbours():
    _, columns = make()
    maxima = [group_maxima(tile[None])[0] for tile in columns.tiles.hits]
    np.testing.assert_array_equal(np.concatenate(maxima), columns.groups.hits.max(axis=1))
    numbers = column_number(np.arange(512 // GROUP)[:, None], np.arange(GROUP))
    np.testing.assert_array_equal(numbers.reshape(-1), np.arange(512))
    np.testing.assert_array_equal(columns.hits[numbers], columns.groups.hits)


def test_what_fills_a_tile_is_out_of_reach():
    """Its influence is below every real one, also with the most trials."""
    _, columns = make(trials=64, e=250)
    assert (columns.hits[250:] == 64).all()  # always correct, and no bit set
    many = Columns.of(Bits(np.zeros((92_681, 1), np.uint8), 1))
    assert 0 < int(many.hits[1]) * 92_681 < 2**31
