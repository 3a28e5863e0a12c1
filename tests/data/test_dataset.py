"""What `make_dataset` takes, what it makes of it, and what it says of the rest."""

import ml_dtypes
import numpy as np
import pytest
import scipy.sparse

from jaxmem import InputError
from jaxmem.data import class_gaps, content_ids, count_duplicates, make_dataset

rng = np.random.default_rng(1)
X, Y = rng.integers(0, 256, (20, 5, 5, 3), np.uint8), np.arange(20) % 4
X_TEST, Y_TEST = rng.integers(0, 256, (6, 5, 5, 3), np.uint8), np.arange(6) % 4


def make(x_train=X, y_train=Y, x_test=X_TEST, y_test=Y_TEST, **more):
    return make_dataset("a", x_train, y_train, x_test, y_test, **more)


def rows(*values, dtype):
    return np.array(values, dtype)[:, None].repeat(2, axis=1)


KINDS = {
    "uint8": (("uint8", 0, 255), ("uint8", 1, 2), "uint8"),
    "bool": (("bool", 0, 1), ("bool", 1, 1), "bool"),
    "0 and 1 as int64": (("int64", 0, 1), ("int64", 1, 1), "int8"),
    "bool beside int64": (("bool", 0, 1), ("int64", 1, 1), "int8"),
    "bool beside uint8": (("bool", 0, 1), ("uint8", 1, 255), "int16"),
    "pixels as int64": (("int64", 0, 255), ("int64", 0, 9), "int16"),
    "uint8 beside int32": (("uint8", 0, 9), ("int32", -1, 9), "int8"),
    "uint16": (("uint16", 0, 40_000), ("uint16", 0, 9), "uint16"),
    "negative and high": (("int64", 0, 40_000), ("int64", -1, 9), "int32"),
    "uint64": (("uint64", 0, 2**31 - 1), ("uint64", 0, 9), "int32"),
    "other byte order": ((">i4", 0, 70_000), (">i4", 0, 9), "int32"),
    "float16": (("float16", 0, 0.5), ("float16", 1, 1), "float32"),
    "float64": (("float64", 0, 1e30), ("float64", 1, 1), "float32"),
    "float64 beside float32": ((">f8", 0, 255), ("float32", 1, 1), "float32"),
    "bfloat16": ((ml_dtypes.bfloat16, 0, 0.5), (ml_dtypes.bfloat16, 1, 1), "float32"),
}


@pytest.mark.parametrize("case", KINDS)
def test_numbers_keep_their_meaning(case):
    (train, *given), (test, *given_test), kept = KINDS[case]
    x_train, x_test = rows(*given, dtype=train), rows(*given_test, dtype=test)
    data = make(x_train, [0, 1], x_test, [0, 1])
    for split, x in ((data.train, x_train), (data.test, x_test)):
        assert split.images.dtype == np.dtype(kept)  # and of this machine's byte order
        assert split.images.shape == (2, 1, 2, 1) and split.images.flags.c_contiguous
        exact = x if kept != "float32" else x.astype(np.float32)
        np.testing.assert_array_equal(split.images[:, 0, :, 0], exact)
        np.testing.assert_array_equal(content_ids(x), split.ids)


def test_shapes_are_made_one():
    assert make().train.images.shape == (20, 5, 5, 3)
    assert make(X[..., 0], x_test=X_TEST[..., 0]).train.images.shape == (20, 5, 5, 1)
    lists = make([[0.5, 1], [1, 2], [3, 4]], [0, 1, 0], [[5, 6.5]], [1])
    assert lists.train.images.tolist()[2] == [[[3.0], [4.0]]]
    turned = make(np.asfortranarray(X), x_test=X_TEST[::-1, :, ::-1][::-1, :, ::-1])
    assert turned.fingerprint == make().fingerprint
    assert turned.train.images.flags.c_contiguous


def test_neither_names_nor_recipes_are_in_the_fingerprint():
    data = make()
    assert (data.class_names, data.recipes) == ((), None)
    named = make(class_names=["a", "b", "c", "d"])._replace(recipes="mnist")
    assert named.fingerprint == data.fingerprint


ONE_HOT = np.eye(4)[Y]
RAGGED = [np.zeros((5, 5, 3)), np.zeros((4, 5, 3))]
BAD = {
    "lengths": ("y_train", Y[:19], r"y_train has shape \(19,\), but x_train has 20 rows"),
    "image shapes": ("x_test", X_TEST[:, :4], r"\(5, 5, 3\), x_test of \(4, 5, 3\); they"),
    "kinds": ("x_test", X_TEST / 2, r"one kind, .* give both \.astype\(np\.float32\)"),
    "no rows": (
        "x_train",
        X[:0],
        r"x_train has shape \(0, 5, 5, 3\); expected one or more",
    ),
    "1-D": (
        "x_train",
        np.ones(20),
        r"shape \(20,\).* \(one value a row: x_train\[:, None\]",
    ),
    "0-D": ("x_test", 3, r"x_test has shape \(\); expected"),
    "5-D": ("x_train", np.ones((20, 1, 5, 5, 3)), r"shape \(20, 1, 5, 5, 3\); expected"),
    "channels first": (
        "x_train",
        np.ones((20, 3, 32, 32)),
        r"\(20, 3, 32, 32\), channels first; give x_train.transpose\(0, 2, 3, 1\)",
    ),
    "text": ("x_train", np.full((20, 5), "a"), "x_train has dtype str32; expected numbers"),
    "complex": ("x_train", X * 1j, "x_train has dtype complex128; expected numbers"),
    "dates": ("x_test", np.zeros((6, 5), "M8[s]"), r"x_test has dtype datetime64\[s\]"),
    "objects": ("x_train", X.astype(object), r"objects; give x_train.astype\(np.float32\)"),
    "object rows": (
        "x_train",
        np.array([*RAGGED, None], object)[:2],
        r"x_train holds Python objects; give np.stack\(x_train\)",
    ),
    "beyond int32": (
        "x_train",
        np.full((20, 3), 2**40),
        r"1099511627776, beyond int32; give .*x_train.astype\(np.float32\)",
    ),
    "far below int32": (
        "x_test",
        np.full((6, 3), -(2**31) - 1),
        "-2147483649, beyond int32",
    ),
    "beyond float32": (
        "x_train",
        np.full((20, 2), 1e39),
        "has 40 pixels, the first in row 0, that are beyond float32; scale",
    ),
    "NaN": (
        "x_train",
        np.where(np.arange(40).reshape(20, 2) > 30, np.nan, 1e39),
        "x_train has 40 pixels, the first in row 0, that are NaN",
    ),
    "inf": (
        "x_train",
        np.where(np.arange(40).reshape(20, 2) > 30, np.inf, 1),
        "x_train has 9 pixels, the first in row 15, that are NaN or infinite; leave out",
    ),
    "ragged": ("x_train", [[1, 2], [3]], r"x_train makes no single array: .*of one shape"),
    "images of other sizes": ("x_train", RAGGED, "x_train makes no single array"),
    "sparse": ("x_train", scipy.sparse.eye(20), r"sparse matrix; give x_train.toarray\(\)"),
    "masked": ("x_train", np.ma.masked_less(X, 9), "x_train has masked entries; leave out"),
    "masked label": ("y_test", np.ma.masked_equal(Y_TEST, 1), "y_test has masked entries"),
    "ragged labels": ("y_train", [[1, 2], [3]], "y_train makes no single array"),
    "one-hot": (
        "y_train",
        ONE_HOT,
        r"y_train has shape \(20, 4\); looks one-hot: give y_train.argmax\(axis=1\)",
    ),
    "soft": ("y_train", ONE_HOT / 2, r"shape \(20, 4\), but x_train has 20 rows; expected"),
    "1 … K": ("y_train", Y + 1, r"class 0 is empty; number .*return_inverse=True\)\[1\]"),
    "gaps": ("y_train", Y * 3, "labels are 0 … 9 and classes 4, 5, 7 and 8 are empty"),
    "far": ("y_test", Y_TEST * 10**6, "0 … 3000000 and classes 4, 5, 6, 7, 8, … are empty"),
    "-1 and 1": ("y_train", Y % 2 * 2 - 1, r"labels -1 and 1; give \(y_train \+ 1\) // 2"),
    "negative": ("y_train", Y - 1, "y_train has label -1, which is no class number; give"),
    "fraction": ("y_train", Y + (Y == 2) * 0.7, "y_train has label 2.7 in row 2; give"),
    "NaN label": (
        "y_test",
        np.where(Y_TEST == 2, np.nan, Y_TEST),
        "y_test has 1 labels that are NaN or infinite, the first in row 2; leave out",
    ),
    "complex label": ("y_train", Y * 1j, "y_train has dtype complex128; give class"),
    "label beyond int32": ("y_train", Y * 2**32, "label 12884901888, which is no class"),
    "huge label": ("y_train", Y * 1e300, "which is no class number"),
    "one class": ("y_train", Y * 0 + 3, "y_train has only one class, 3: nothing to tell"),
    "objects as labels": ("y_train", Y.astype(object), r"give y_train.astype\(int\), or"),
    "names beside NaN": ("y_test", ["a", "b", float("nan")] * 2, "y_test holds Python obj"),
    "names beside numbers": ("y_test", list("abcdef"), "must both be names, or both class"),
    "bytes in no encoding": (
        "y_test",
        [b"\xff"] * 6,
        "y_test has names that are not UTF-8",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_with_the_way_out(case):
    key, value, message = BAD[case]
    with pytest.raises(InputError, match=message):
        make(**{key: value, **({"y_test": value[:6]} if case == "1 … K" else {})})


def test_classes_with_examples_in_one_split_only():
    assert class_gaps(make()) == []
    both = make(y_train=np.arange(20) % 8, y_test=[0, 1, 2, 3, 4, 9], num_classes=12)
    assert class_gaps(both) == [
        "classes 5, 6 and 7 have no test examples: nothing there can show what their "
        "training examples influence",
        "class 9 has no training examples: no model can get it right",
    ]
    named = make(X[:2], ["dog", "cat"], X_TEST[:2], ["dog", "eel"])
    assert [line.split(":")[0] for line in class_gaps(named)] == [
        "class cat has no test examples",
        "class eel has no training examples",
    ]
    many = make(y_train=np.arange(20), y_test=[0] * 6)
    assert class_gaps(many)[0].startswith("classes 1, 2, 3, 4, 5, … have no test examples")


def test_duplicates_are_counted():
    x_train, x_test = X.copy(), X_TEST.copy()
    x_train[[4, 9]] = x_train[2]  # two more of row 2
    x_test[[0, 5]] = x_train[7]
    data = make(x_train, x_test=x_test)
    assert count_duplicates(data.train.ids, data.test.ids) == (2, 2)
