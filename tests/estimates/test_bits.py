"""Bits against the masks that they hold."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matrices import random_trials

from jaxmem.estimates import bits
from jaxmem.estimates.bits import Bits, words_of

MASKS = arrays(bool, st.tuples(st.integers(0, 9), st.integers(0, 33)))
quick = settings(deadline=None, derandomize=True, max_examples=60)


def padding(packed: Bits):
    """The bits beyond the last example."""
    return np.unpackbits(packed.packed, axis=1)[:, packed.count :]


@quick
@given(MASKS)
def test_a_mask_comes_back(mask):
    packed = Bits.of(mask)
    assert packed.trials == len(mask) and packed.count == mask.shape[1]
    assert packed.packed.shape == (len(mask), -(-mask.shape[1] // 8))
    assert packed.mask().dtype == bool
    np.testing.assert_array_equal(packed.mask(), mask)
    np.testing.assert_array_equal(packed.sums(), mask.sum(axis=1))


@quick
@given(MASKS)
def test_inverted_bits(mask):
    inverted = ~Bits.of(mask)
    np.testing.assert_array_equal(inverted.mask(), ~mask)
    assert not padding(inverted).any()
    np.testing.assert_array_equal((~inverted).packed, Bits.of(mask).packed)


@quick
@given(MASKS, st.data())
def test_chosen_columns(mask, data):
    count = mask.shape[1]
    number = st.integers(0, max(0, count - 1))
    examples = data.draw(st.lists(number, max_size=40 if count else 0))
    examples = np.array(examples, np.int64)
    chosen = Bits.of(mask).columns(examples)
    np.testing.assert_array_equal(chosen.mask(), mask[:, examples])
    assert chosen.count == examples.size and not padding(chosen).any()


@quick
@given(MASKS, st.integers(0, 4), st.integers(0, 5))
def test_a_part_of_the_columns(mask, start, bytes_):
    start = min(8 * start, mask.shape[1] // 8 * 8)
    part = Bits.of(mask).part(start, start + 8 * bytes_)
    np.testing.assert_array_equal(part.mask(), mask[:, start : start + 8 * bytes_])
    assert not padding(part).any()


def test_columns_of_many_trials(monkeypatch):
    """However few of the bits lie unpacked at a time."""
    mask, _ = random_trials(100, 50, 1)
    monkeypatch.setattr(bits, "UNPACKED", 70)
    examples = np.arange(49, 0, -2)
    np.testing.assert_array_equal(Bits.of(mask).columns(examples).mask(), mask[:, examples])


def test_words_are_the_bits_turned():
    mask, _ = random_trials(531, 300, 1)
    words = words_of(Bits.of(mask))
    assert words.dtype == np.uint32 and words.shape == (32, 512)
    turned = words[:, None, :] >> np.arange(32, dtype=np.uint32)[:, None] & 1
    turned = turned.reshape(-1, 512)
    np.testing.assert_array_equal(turned[:531, :300], mask)
    assert not turned[531:].any() and not turned[:, 300:].any()


@pytest.mark.parametrize("trials", [1, 31, 64, 513, 1000])
@pytest.mark.parametrize(
    "way",
    [
        functools.partial(bits.by_popcount, carry=False),
        functools.partial(bits.by_popcount, carry=True),
        bits.by_product,
        bits.count_both,
    ],
)
def test_counting_both(trials, way):
    a, b = random_trials(trials, 37, 70)
    words = words_of(Bits.of(a)), words_of(Bits.of(b))
    np.testing.assert_array_equal(way(*words)[:37, :70], a.astype(int).T @ b.astype(int))
    for few, many in ((0, 0), (0, 70), (37, 0)):
        none = way(words[0][:, :few], words[1][:, :many])
        assert none.shape == (few, many) and none.dtype == np.int32
