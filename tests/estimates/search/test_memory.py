"""What memory allows, and that a search keeps to it."""

import jax
import numpy as np
import pytest
from matrices import random_trials

from jaxmem import InputError
from jaxmem._shared.devices import make_mesh
from jaxmem.estimates.bits import Bits, words_of
from jaxmem.estimates.search.memory import allot
from jaxmem.estimates.search.rows import ROWS, chosen_blocks, row_blocks
from jaxmem.estimates.search.tiles import Grain

IMAGENET = 1_281_167, 50_000, 2_000, 10
SMALL, LARGE = Grain(1, 1, 16), Grain(16, 32, 1024)


def test_accelerators_have_memory_of_their_own(monkeypatch):
    """Eight of them do not share what one may use."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert allot(4.0, *IMAGENET, LARGE, devices=8).devices == 8


@pytest.mark.parametrize("grain", [SMALL, LARGE])
def test_many_devices_take_no_more_memory(grain):
    """As many as memory allows, down to one."""
    little = allot(2.0, *IMAGENET, grain, devices=64)
    assert 1 <= little.devices < 64
    assert little.chunk % (little.devices * grain.blocks * ROWS) == 0
    assert little.pairs > 10**5
    plenty = allot(64.0, *IMAGENET, grain, devices=64)
    assert plenty.devices == 64 and plenty.pairs > little.pairs


@pytest.mark.parametrize("grain", [SMALL, LARGE])
def test_what_is_enough_is_enough(grain):
    with pytest.raises(InputError, match=r"too small .* (\S+) are enough") as error:
        allot(0.1, *IMAGENET, grain)
    enough = float(str(error.value).split()[-3])
    assert allot(enough, *IMAGENET, grain).chunk >= ROWS
    with pytest.raises(InputError):
        allot(0.95 * enough, *IMAGENET, grain)


def test_rows_come_in_chunks(monkeypatch):
    """Every row once, in order, and the words of no more than a chunk at a time."""
    included, _ = random_trials(40, 1300, 1)
    bits = Bits.of(included)
    words, mesh = words_of(bits), make_mesh(2)
    computed = []
    monkeypatch.setattr(
        "jaxmem.estimates.search.rows.words_of",
        lambda part: computed.append(part.count) or words_of(part),
    )
    for chunk, parts in (
        (512, [512, 512, 276]),
        (1024, [1024, 276]),
        (2048, [1300]),
    ):
        steps = list(row_blocks(bits, chunk, mesh))
        assert computed == parts
        assert [(rows.first, rows.real) for rows in steps] == [
            (0, 512),
            (512, 512),
            (1024, 276),
        ]
        by_row = np.concatenate([rows.by_row() for rows in steps])
        np.testing.assert_array_equal(by_row[:1300], words[:, :1300].T)
        assert not by_row[1300:].any()
        n_in = np.concatenate([rows.inclusions() for rows in steps])
        np.testing.assert_array_equal(n_in[:1300], included.sum(axis=0))
        (whole,) = row_blocks(bits, 2048, mesh, blocks=4)
        assert whole.words.shape == (2, len(words), 4 * ROWS) and whole.real == 1300
        np.testing.assert_array_equal(whole.by_row()[:1300], by_row[:1300])
        computed.pop()
        again = dict(chosen_blocks(bits, [0, 3, 5], chunk))
        for first, block in again.items():
            np.testing.assert_array_equal(block, words[:, first : first + ROWS])
        assert list(again) == [0, 768, 1280]
        computed.clear()
