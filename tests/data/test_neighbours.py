"""Neighbours against all distances, and copies."""

import numpy as np

import jaxmem
from jaxmem.data.neighbours import duplicate_groups, nearest


def test_nearest_are_the_nearest(digits):
    train, test = digits.train.images[:300], digits.test.images[:40]
    of_train, of_test = nearest(train, test, k=3)
    x, y = (images.reshape(len(images), -1) for images in (train, test))
    far = np.sqrt(np.square(x[:, None] - x[None]).mean(axis=2))
    np.fill_diagonal(far, np.inf)
    np.testing.assert_allclose(of_train.distance, np.sort(far, axis=1)[:, :3], atol=1e-6)
    rows = np.arange(300)
    np.testing.assert_allclose(far[rows, of_train.index[:, 0]], far.min(axis=1), atol=1e-6)
    far = np.sqrt(np.square(y[:, None] - x[None]).mean(axis=2))
    np.testing.assert_allclose(of_test.distance, np.sort(far, axis=1)[:, :3], atol=1e-6)


def test_near_duplicates_are_far_nearer_than_usual(digits):
    images = np.concatenate([digits.train.images[:200], digits.train.images[:1] + 0.01])
    of_train, _ = nearest(images, images[:2])
    near = of_train.near(of_train.typical)
    assert near.any(axis=1).nonzero()[0].tolist() == [0, 200]


def test_rows_of_numbers_are_standardised_and_few_suffice():
    x = np.array([[0, 0], [1, 1000], [0.1, 1000], [5, 0]], np.float32)
    data = jaxmem.make_dataset("t", x, [0, 1, 0, 1], x[:2], [0, 1])
    of_train, of_test = nearest(data.train.images, data.test.images)
    assert of_train.index.shape == (4, 3) and of_train.index[1, 0] == 2
    assert of_test.index[:, 0].tolist() == [0, 1] and of_test.distance[0, 0] == 0


def test_groups_of_copies():
    train = np.array(["a", "b", "a", "c", "d"])
    test = np.array(["c", "x", "x", "a"])
    groups = duplicate_groups(train, test)
    assert sorted(groups) == [([0, 2], [3]), ([3], [0])]
    assert duplicate_groups(train[1:2], test[:1]) == []
