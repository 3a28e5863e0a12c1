"""Ids of examples, by their content."""

import numpy as np
import pytest

from jaxmem import InputError
from jaxmem.data import content_ids

X = np.random.default_rng(1).integers(0, 256, (20, 5, 5, 3), np.uint8)


def test_ids_follow_the_content_not_the_row():
    ids = content_ids(X)
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(content_ids(X[order]), ids[order])
    assert np.unique(ids).size == 20 and ids.dtype == "U16"
    changed = X.copy()
    changed[3, 0, 0, 0] ^= 1
    assert np.nonzero(content_ids(changed) != ids)[0].tolist() == [3]


def test_ids_stay_what_they_were():
    images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    assert content_ids(images).tolist() == ["3071ac54b4a84fb3", "9b1d2b3bbb3f4071"]
    assert content_ids(np.float32(images / 8)).tolist() == [
        "eb8a50170462ce40",
        "630bd3b6694a5b50",
    ]


FLOATS = (X / 8).astype(np.float32)  # exact in float16
WIDE = X.astype(np.int64) - 7
SAME_IDS = {
    "wider": (X, X.astype(np.int64)),
    "another byte order": (X, X.astype(">u2")),
    "Fortran order": (X, np.asfortranarray(X)),
    "a view": (X, X.repeat(2, axis=2)[:, :, ::2]),
    "grey with and without a channel": (X[..., 0], X[..., :1]),
    "a row with and without height": (X[:, 0, :, 0], X[:, :1, :, :1]),
    "bool": (X > 99, (X > 99).astype(np.uint8)),
    "beyond a byte": (WIDE, WIDE.astype(">i4")),
    "beyond a byte, narrower": (WIDE, WIDE.astype(np.int16)),
    "float16": (FLOATS, FLOATS.astype(np.float16)),
    "float64": (FLOATS, FLOATS.astype(">f8")),
    "float64 between two float32": (np.float32(X / 255), X / 255),
    "minus zero": (FLOATS * 0, FLOATS * -0.0),
    "a list": (X, X.tolist()),
}


@pytest.mark.parametrize("case", SAME_IDS)
def test_same_content_same_id(case):
    one, other = SAME_IDS[case]
    np.testing.assert_array_equal(content_ids(one), content_ids(other))


def test_other_content_other_id():
    others = [X, WIDE, FLOATS, X.astype(np.float32), X.reshape(20, 75), X[:, :, ::-1]]
    ids = np.concatenate([content_ids(images) for images in others])
    assert np.unique(ids).size == ids.size


def test_ids_of_what_is_no_dataset():
    with pytest.raises(InputError, match=r"images has shape \(20,\)"):
        content_ids(np.ones(20))
    with pytest.raises(InputError, match="images has dtype complex128"):
        content_ids(X * 1j)
