"""Which training examples look alike: the nearest, and near-duplicates."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jaxmem.data.dataset import Dataset, Examples

PARTS = 48  # principal components by which candidates are found
SAMPLE = 4000  # examples from which these come
CANDIDATES = 4  # times as many as are wanted; those are compared in full
MOST = 100_000  # examples, beyond which all pairs take too long
WIDEST = 48  # pixels a side: of larger pictures every second one is compared, or third …
VALUES = 2**26  # of candidates, compared in full at a time
COPIES = 8  # of an example, that are looked at
LEAST = 3  # distinct examples, below which none is near another
NEAR = 0.25  # of the median distance to the nearest: below it are near-duplicates


class Neighbours(NamedTuple):
    """The k nearest training examples of each of R examples, the nearest first."""

    index: np.ndarray  # type: ignore[assignment]  # int64 [R, k]; hides tuple.index
    # float32 [R, k]: root of the mean square difference, of pixels in [0, 1], at most
    # WIDEST a side; of rows of numbers, of features in standard deviations
    distance: np.ndarray

    def near(self, typical: float) -> np.ndarray:
        """Which are near-duplicates: bool [R, k]; typical: `self.typical` of train."""
        return self.distance <= NEAR * typical

    def copied(self, groups: np.ndarray | None = None) -> np.ndarray:
        """Which rows of train, int64, have a near-duplicate, or a copy, in another group.

        Of train's own neighbours. groups: each row's [N]; None: a row is one of its own.
        """
        near = self.near(self.typical)
        if groups is not None:
            near &= groups[self.index] != groups[:, None]
        return np.flatnonzero(near.any(axis=1))

    @property
    def typical(self) -> float:
        """How far the nearest is: the median."""
        return float(np.median(self.distance[:, 0])) if self.distance.size else 0.0


def duplicate_groups(
    train_ids: np.ndarray, test_ids: np.ndarray
) -> list[tuple[list[int], list[int]]]:
    """Rows of one content: (rows of train, rows of test) of each id that stands twice.

    train_ids, test_ids: str [N] and [E]. Ids of test rows alone are left out.
    """
    _, code = np.unique(np.concatenate([train_ids, test_ids]), return_inverse=True)
    train, test = code[: train_ids.size], code[train_ids.size :]
    count = np.bincount(code)
    order = np.argsort(train, kind="stable")
    twice = order[count[train[order]] > 1]
    groups = np.split(twice, np.flatnonzero(np.diff(train[twice])) + 1)
    by_test: dict[int, list[int]] = {}
    for row in np.flatnonzero(np.isin(test, train)).tolist():
        by_test.setdefault(int(test[row]), []).append(row)
    return [
        (group.tolist(), by_test.get(int(train[group[0]]), []))
        for group in groups
        if group.size
    ]


def nearest(
    train: np.ndarray, test: np.ndarray, k: int = 4
) -> tuple[Neighbours, Neighbours]:
    """The k nearest training examples of each training example, and of each test example.

    Images [N, H, W, C] and [E, H, W, C], as `Examples.images`; a training example is not
    its own neighbour. Candidates are nearest by principal components (so that a nearest
    one may be missed); distances are those of all values.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    if train.shape[1] > 1:
        step = -(-max(train.shape[1:3]) // WIDEST)
        train, test = train[:, ::step, ::step], test[:, ::step, ::step]
    shift, scale = _scaling(train)
    values = _values(train, shift, scale)
    chosen = np.unique(np.linspace(0, len(values) - 1, SAMPLE).astype(int))
    parts = min(PARTS, values.shape[1], chosen.size)
    components = PCA(parts, svd_solver="randomized", random_state=0).fit(values[chosen])
    near = NearestNeighbors(algorithm="brute").fit(components.transform(values))

    def of(asked: np.ndarray, own: bool) -> Neighbours:
        count = min(k, len(values) - own)
        many = min(CANDIDATES * count + own, len(values))
        candidates = near.kneighbors(components.transform(asked), many, False)
        index = np.empty((len(asked), count), np.int64)
        distance = np.empty((len(asked), count), np.float32)
        size = max(1, VALUES // (many * values.shape[1]))
        for start in range(0, len(asked), size):
            rows = slice(start, start + size)
            apart = values[candidates[rows]] - asked[rows, None, :]
            far = np.sqrt(np.square(apart).mean(axis=2))
            if own:
                itself = np.arange(start, start + len(far))[:, None]
                far[candidates[rows] == itself] = np.inf
            order = np.argsort(far, axis=1, kind="stable")[:, :count]
            index[rows] = np.take_along_axis(candidates[rows], order, axis=1)
            distance[rows] = np.take_along_axis(far, order, axis=1)
        return Neighbours(index, distance)

    return of(values, True), of(_values(test, shift, scale), False)


def alike(data: Dataset) -> dict[str, Neighbours] | None:
    """`nearest` of "train" and of "test"; None where there are too many examples."""
    if data.train.labels.size > MOST:
        return None
    both = nearest(data.train.images, data.test.images)
    return dict(zip(("train", "test"), both, strict=True))


def near_copies(train: Examples) -> np.ndarray:
    """Of each of N rows, the first of its copies and near-duplicates, or itself: int64 [N].

    Copies of copies are copies too. Near is what `Neighbours.near` says, of distinct rows.
    """
    _, first, content = np.unique(train.ids, return_index=True, return_inverse=True)
    if first.size < LEAST:
        return first[content]
    distinct = train.images[first]
    found, _ = nearest(distinct, distinct[:1], COPIES)
    row, place = np.nonzero(found.near(found.typical))
    edges = np.ones(row.size, bool), (row, found.index[row, place])
    graph = coo_array(edges, shape=(first.size, first.size))
    _, part = connected_components(graph, directed=False)
    of_row = part[content]
    _, first, inverse = np.unique(of_row, return_index=True, return_inverse=True)
    return first[inverse]


def _scaling(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What to take off values, and what to divide them by."""
    chosen = np.unique(np.linspace(0, len(train) - 1, SAMPLE).astype(int))
    sample = train[chosen].reshape(chosen.size, -1).astype(np.float32)
    if train.shape[1] == 1 and train.shape[3] == 1:  # rows of numbers
        deviation = sample.std(axis=0)
        return sample.mean(axis=0), np.where(deviation > 0, deviation, 1)
    low, high = (0, 255) if train.dtype == np.uint8 else (sample.min(), sample.max())
    span = np.float32(high) - np.float32(low)
    return np.asarray(low, np.float32), np.asarray(span if span > 0 else 1, np.float32)


def _values(images: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return (images.reshape(len(images), -1).astype(np.float32) - shift) / scale
