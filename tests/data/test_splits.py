import numpy as np
import pytest

from jaxmem import InputError
from jaxmem.data.options import Options
from jaxmem.data.rows import listed_rows
from jaxmem.data.splits import stratified, take_splits

LABELS = np.repeat(["a", "b", "c"], [50, 30, 3])


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_stratified_takes_of_each_class_alike(fraction):
    train, test = stratified(LABELS, fraction, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(83))
    assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
    for name, size in (("a", 50), ("b", 30), ("c", 3)):
        assert abs((LABELS[test] == name).sum() - fraction * size) <= 1
        assert (LABELS[train] == name).any()


def test_stratified_is_seeded():
    one, again, other = (stratified(LABELS, 0.2, seed)[1].tolist() for seed in (3, 3, 4))
    assert one == again != other
    assert len(stratified(np.arange(10) % 5, 0.2, 0)[1]) == 2  # of 5 classes of 2 rows
    with pytest.raises(
        InputError, match=r"test_fraction 0.01 of 6 rows in 2 classes is no"
    ):
        stratified(np.arange(6) % 2, 0.01, 0)


def splits(found, **options):
    """Of splits {name: labels}: which labels are trained and tested on."""

    def open_split(name):
        if name not in found:
            raise InputError(f"no {name}")
        labels = np.array(found[name])
        return listed_rows(labels, labels, list(found[name]))

    taken = take_splits("it", list(found), open_split, Options(**options))
    return [rows.labels.tolist() for rows in taken]


def test_splits_by_their_names():
    train, test, known = [1, 2], [-1, -1], [3]
    assert splits({"train": train, "test": known}) == [train, known]
    assert splits({"validation": known, "train": train}) == [train, known]
    assert splits({"train": train, "test": test, "validation": known}) == [train, known]
    assert splits({"train": train, "test": [-1, 4], "val": known}) == [train, [-1, 4]]
    assert splits({"a": train, "b": known}, train_split="a", test_split="b") == [
        train,
        known,
    ]
    assert splits({"only": [1, 1, 2, 2]}, test_fraction=0.5) == [[1, 2], [1, 2]]


def test_splits_that_are_not_clear():
    with pytest.raises(InputError, match="it has splits a, b; give train_split=…"):
        splits({"a": [1], "b": [1]})
    with pytest.raises(InputError, match="it has no split to test on, only train; give te"):
        splits({"train": [1]})
    with pytest.raises(InputError, match="it has no split of which the labels are known"):
        splits({"train": [1], "test": [-1], "validation": [-1]})
    with pytest.raises(InputError, match="it has no splits"):
        splits({})
