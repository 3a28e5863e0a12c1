"""The streaming search against the whole matrix."""

import functools

import jax
import numpy as np
import pytest

from jaxmem import InputError
from jaxmem.estimates import bits
from jaxmem.estimates.counts import Counts
from jaxmem.estimates.search import search, tiles
from jaxmem.estimates.search.search import search as find
from jaxmem.estimates.statistics import z_score


def make(trials, n, e, seed=0):
    """Masks with unequal counts, an example never in and one never out, and outcomes."""
    rng = np.random.default_rng(seed)
    included = rng.random((trials, n)) < rng.uniform(0.3, 0.9, n)
    included[:, 2], included[:, 3] = False, True
    correct = rng.random((trials, e)) < rng.uniform(0, 1, e)
    some = min(n, e // 2)
    correct[:, :some] ^= included[:, :some] & (rng.random((trials, some)) < 0.2)
    return included, correct


def naive(included, correct):
    """infl [N, E] in float64 from the definition, a pair at a time."""
    infl = np.full((included.shape[1], correct.shape[1]), np.nan)
    for i, inside in enumerate(included.T):
        if inside.any() and not inside.all():
            n_in, n_out = inside.sum(), (~inside).sum()
            hits_in = correct[inside].sum(axis=0)
            hits_out = correct[~inside].sum(axis=0)
            infl[i] = (hits_in * n_out - hits_out * n_in) / (n_in * n_out)
    return infl


def pack(values):
    return np.packbits(values, axis=1)


@pytest.mark.parametrize("trials", [1, 31, 64, 513, 1000])
@pytest.mark.parametrize(
    "way",
    [
        functools.partial(bits.by_popcount, carry=False),
        functools.partial(bits.by_popcount, carry=True),
        bits.by_product,
    ],
)
def test_counting_both(trials, way):
    a, b = make(trials, 37, 70)
    words = bits.words_of(pack(a)), bits.words_of(pack(b))
    assert words[0].shape == (16 * -(-trials // 512), 256)
    np.testing.assert_array_equal(way(*words)[:37, :70], a.astype(int).T @ b.astype(int))


@pytest.mark.parametrize("shape", [(90, 300, 40), (600, 2100, 300), (40, 30, 270)])
def test_search_is_the_whole_matrix(shape):
    included, correct = make(*shape)
    n, e = shape[1:]
    infl = naive(included, correct)
    threshold = np.nanquantile(infl, 0.98)  # a value that occurs: it must be reached
    threshold = infl[infl >= threshold].min()
    found = find(pack(included), n, pack(correct), e, threshold, top=7)

    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero(infl >= threshold)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.columns, columns)
    inside, right = included[:, rows], correct[:, columns]
    np.testing.assert_array_equal(found.counts.hits_in, (inside & right).sum(axis=0))
    np.testing.assert_array_equal(found.counts.n_in, inside.sum(axis=0))
    np.testing.assert_array_equal(found.counts.hits_out, (~inside & right).sum(axis=0))
    np.testing.assert_array_equal(found.counts.n_out, (~inside).sum(axis=0))

    for best, matrix in ((found.of_rows, infl), (found.of_columns, infl.T)):
        ordered = -np.sort(-np.nan_to_num(matrix, nan=-np.inf), axis=1)[:, :7]
        expected = np.where(np.isfinite(ordered), ordered, np.nan)
        np.testing.assert_array_equal(best.infl, expected)
        known = best.index >= 0
        np.testing.assert_array_equal(known, np.isfinite(expected))
        lines = np.nonzero(known)[0]
        np.testing.assert_array_equal(matrix[lines, best.index[known]], best.infl[known])
        for line, marks in zip(best.index, known, strict=True):
            assert np.unique(line[marks]).size == marks.sum()


def test_more_wanted_than_there_are():
    included, correct = make(50, 9, 5)
    found = find(pack(included), 9, pack(correct), 5, top=20)
    assert found.rows.size == 0 and found.of_rows.index.shape == (9, 20)
    infl = naive(included, correct)
    known = np.isfinite(infl)
    assert ((found.of_rows.index >= 0).sum(axis=1) == known.sum(axis=1)).all()
    assert ((found.of_columns.index >= 0).sum(axis=1) == known.sum(axis=0)).all()


def test_memory_is_kept_to(monkeypatch):
    included, correct = make(80, 5000, 30)
    whole = find(pack(included), 5000, pack(correct), 30, 0.3, top=3)
    made = []
    words_of = bits.words_of
    monkeypatch.setattr(
        tiles, "words_of", lambda b: made.append(8 * b.shape[1]) or words_of(b)
    )
    parts = find(pack(included), 5000, pack(correct), 30, 0.3, top=3, memory=0.0019)
    # The test examples, and then no more training examples than fit.
    assert made == [32, 2048, 2048, 904]
    for a, b in zip(whole[:2], parts[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(whole.of_rows.infl, parts.of_rows.infl)
    np.testing.assert_array_equal(whole.of_columns.infl, parts.of_columns.infl)


def test_what_cannot_be_searched(monkeypatch):
    included, correct = make(50, 900, 50)
    with pytest.raises(InputError, match="masks of 49 trials and outcomes of 50"):
        find(pack(included[1:]), 900, pack(correct), 50)
    with pytest.raises(InputError, match=r"0.0001 GiB .* tile of 900 x 50 pairs"):
        find(pack(included), 900, pack(correct), 50, memory=0.0001)
    with pytest.raises(InputError, match=r"threshold -1 than memory holds; take a higher"):
        find(pack(included), 900, pack(correct), 50, threshold=-1.0, memory=0.006)
    monkeypatch.setattr(search, "MOST_TRIALS", 40)
    with pytest.raises(InputError, match="50 trials are outside"):
        find(pack(included), 900, pack(correct), 50)


@pytest.mark.parametrize("shape", [(90, 300, 40), (600, 2100, 300)])
def test_search_by_z(shape):
    included, correct = make(*shape)
    correct[:, 1], correct[:, 2] = True, False  # all trials agree: z is 0
    i = included.astype(float)
    n_in, hits = i.sum(axis=0)[:, None], correct.sum(axis=0)[None]
    hits_in = i.T @ correct
    z = z_score(Counts(hits_in, n_in, hits - hits_in, shape[0] - n_in))
    threshold = np.nanquantile(z, 0.98)
    threshold = z[z >= threshold].min()
    found = find(pack(included), shape[1], pack(correct), shape[2], threshold, by="z")
    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero(z >= threshold)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.columns, columns)


def test_more_trials_than_a_product_of_counts_holds():
    """Counts multiply beyond int32; their difference does not."""
    rng = np.random.default_rng(0)
    trials = 60_000
    included = rng.random((trials, 20)) < 0.7
    correct = rng.random((trials, 11)) < np.where(included[:, :11], 0.9, 0.6)
    found = find(pack(included), 20, pack(correct), 11, 0.2, top=2)
    infl = np.array(
        [
            correct[included[:, i]].mean(axis=0) - correct[~included[:, i]].mean(axis=0)
            for i in range(20)
        ]
    )
    rows, columns = np.nonzero(infl >= 0.2)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.columns, columns)
    highest = -np.sort(-infl, axis=1)[:, :2]
    np.testing.assert_allclose(found.of_rows.infl, highest, atol=1e-12)
    with pytest.raises(InputError, match="memory nan must be"):
        find(pack(included[:9]), 20, pack(correct[:9]), 11, memory=np.nan)


def test_many_devices_take_no_more_memory(monkeypatch):
    """As many as memory allows, down to one."""
    need = 1_281_167, 50_000, 2_000, 10
    monkeypatch.setattr("jax.local_devices", lambda: jax.devices()[:1] * 64)
    monkeypatch.setattr("jaxmem.estimates.search.search.make_mesh", lambda most: most)
    devices, chunk, pairs = search._allot(2.0, *need)
    assert 1 <= devices < 64 and chunk % (devices * search.ROWS) == 0 and pairs > 10**6
    assert search._allot(64.0, *need)[0] == 64
