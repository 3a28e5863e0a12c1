"""Labels as class numbers, and the names of classes."""

import numpy as np
import pytest

from jaxmem import InputError
from jaxmem.data import make_dataset

rng = np.random.default_rng(1)
X, Y = rng.integers(0, 256, (20, 5, 5, 3), np.uint8), np.arange(20) % 4
X_TEST, Y_TEST = rng.integers(0, 256, (6, 5, 5, 3), np.uint8), np.arange(6) % 4


def make(x_train=X, y_train=Y, x_test=X_TEST, y_test=Y_TEST, **more):
    return make_dataset("a", x_train, y_train, x_test, y_test, **more)


LABELS = {
    "numbers": ([0, 2, 1, 0], [1], [0, 2, 1, 0], [1], ()),
    "a column of floats": (np.array([[0.0], [2], [1], [0]]), [1], [0, 2, 1, 0], [1], ()),
    "uint64": (np.array([0, 2, 1, 0], np.uint64), [1], [0, 2, 1, 0], [1], ()),
    "bool": ([False, True, True, False], [True], [0, 1, 1, 0], [1], ()),
    "only in test": ([0, 2, 2, 0], [1], [0, 2, 2, 0], [1], ()),
    "names": (
        np.array(["dog", "cat", "dog", "bee"]),
        ["ant"],
        [3, 2, 3, 1],
        [0],
        ("ant", "bee", "cat", "dog"),
    ),
    "bytes beside str": (
        np.array(["é".encode(), b"b", b"b", b"b"]),
        np.array(["b"], object),
        [1, 0, 0, 0],
        [0],
        ("b", "é"),
    ),
    "numerals": (["10", "9", "9", "-1"], ["9"], [2, 1, 1, 0], [1], ("-1", "9", "10")),
    "numerals without gaps": (["1", "0", "1", "0"], ["0"], [1, 0, 1, 0], [0], ()),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels(case):
    y_train, y_test, train, test, names = LABELS[case]
    data = make(X[:4], y_train, X_TEST[:1], y_test)
    assert data.train.labels.tolist() == train and data.test.labels.tolist() == test
    assert {split.labels.dtype for split in data[1:3]} == {np.dtype(np.int32)}
    assert data.class_names == names
    assert data.num_classes == max(train + test) + 1


def test_classes_may_be_empty_where_they_are_stated():
    assert make(num_classes=np.int64(9)).num_classes == 9
    named = make(class_names=np.array(["a", "b", "c", "d", "e"]))
    assert (named.num_classes, named.class_names) == (5, ("a", "b", "c", "d", "e"))
    own_order = make(X[:2], ["b", "a"], X_TEST[:1], ["b"], class_names=["b", "z", "a"])
    assert own_order.train.labels.tolist() == [0, 2] and own_order.num_classes == 3


NAMES_TRAIN, NAMES_TEST = np.array(list("abcd"))[Y], np.array(list("abcd"))[Y_TEST]
BAD_CLASSES = {
    "too few": ({"num_classes": 3}, "y_train has label 3, but there are 3 classes, 0 … 2"),
    "one": ({"num_classes": 1}, "num_classes is 1; give a whole number, at least 2"),
    "fraction": ({"num_classes": 4.5}, "num_classes is 4.5; give a whole number"),
    "disagree": (
        {"num_classes": 5, "class_names": list("abcd")},
        "num_classes is 5, but there are 4 class names; they must agree",
    ),
    "too few names": ({"class_names": ["a", "b"]}, "label 3, but there are 2 classes"),
    "twice": ({"class_names": list("abca")}, "class_names has 'a' twice"),
    "no list": ({"class_names": "abcd"}, "class_names must be a list of text"),
    "numbers": ({"class_names": [0, 1, 2, 3]}, "class_names must be a list of text"),
    "a name too few": (
        {"class_names": list("abc"), "y_train": NAMES_TRAIN, "y_test": NAMES_TEST},
        "y_train has label 'd', which class_names lacks; add it",
    ),
    "one name": (
        {"y_train": ["a"] * 20, "y_test": NAMES_TEST},
        "y_train has only one class, a: nothing to tell apart",
    ),
}


@pytest.mark.parametrize("case", BAD_CLASSES)
def test_classes_that_do_not_fit(case):
    more, message = BAD_CLASSES[case]
    with pytest.raises(InputError, match=message):
        make(**more)
