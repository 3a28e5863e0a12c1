import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmem import InputError
from jaxmem.training.keys import Purpose, purpose_key, root_key, trial_key
from jaxmem.training.subsets import (
    SubsetRule,
    candidate_masks,
    draw_balanced,
    draw_subset,
    inclusion_mask,
    subset_size,
)


def test_subset_is_exactly_m_distinct_examples():
    for trial in range(20):
        subset = np.asarray(draw_subset(root_key(0), trial, n=101, m=71))
        assert np.unique(subset).size == 71
        assert 0 <= subset.min() and subset.max() < 101
        mask = np.asarray(inclusion_mask(jnp.asarray(subset), 101))
        np.testing.assert_array_equal(np.nonzero(mask)[0], np.sort(subset))


def test_subset_depends_on_seed_and_trial_alone():
    draw = jax.vmap(lambda t: draw_subset(root_key(3), t, 50, 35))
    many = draw(jnp.arange(8))
    np.testing.assert_array_equal(many[5], draw_subset(root_key(3), 5, 50, 35))
    assert not np.array_equal(many[5], many[6])
    assert not np.array_equal(many[5], draw_subset(root_key(4), 5, 50, 35))


def test_every_example_is_included_equally_often():
    draw = jax.vmap(lambda t: inclusion_mask(draw_subset(root_key(0), t, 40, 28), 40))
    included = np.asarray(draw(jnp.arange(4000))).sum(axis=0)
    # 4,000 draws at 0.7: standard deviation 29; and pairs are not tied to each other.
    assert np.all(np.abs(included - 2800) < 5 * 29)


def test_purposes_and_trials_have_keys_of_their_own():
    keys = {
        tuple(jax.random.key_data(trial_key(root_key(0), purpose, trial)).tolist())
        for purpose in Purpose
        for trial in range(50)
    }
    assert len(keys) == 50 * len(Purpose)


def test_subset_size_rounds():
    assert subset_size(60_000, 0.7) == 42_000
    assert subset_size(1437, 0.7) == 1006


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan"), 0.001, 0.999])
def test_bad_fraction(fraction):
    with pytest.raises(InputError, match=str(fraction)):
        subset_size(100, fraction)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_bad_seed(seed):
    with pytest.raises(InputError, match=str(seed)):
        root_key(seed)


@pytest.mark.parametrize("n, m", [(10, 7), (13, 4), (101, 50), (64, 32), (97, 96), (50, 1)])
def test_balanced_subsets_exclude_equally_often(n, m):
    """After every number of trials, all counts are within one; every size is exact."""
    trials = 3 * n
    draw = jax.jit(jax.vmap(lambda t: draw_balanced(root_key(0), t, n, m)))
    subsets = np.asarray(draw(np.arange(trials, dtype=np.int32)))
    assert subsets.shape == (trials, m)
    included = np.zeros((trials, n), int)
    np.put_along_axis(included, subsets, 1, axis=1)
    assert (included.sum(axis=1) == m).all()  # no example twice
    counts = included.cumsum(axis=0)
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()
    other = jax.vmap(lambda t: draw_balanced(root_key(1), t, n, m))
    assert (np.asarray(other(np.arange(9, dtype=np.int32))) != subsets[:9]).any()


def test_balanced_subsets_pair_examples_at_random():
    """Two examples are out together about as often as when subsets are uniform."""
    n, m, trials = 40, 28, 6000
    draw = jax.jit(jax.vmap(lambda t: draw_balanced(root_key(0), t, n, m)))
    subsets = np.asarray(draw(np.arange(trials, dtype=np.int32)))
    out = np.ones((trials, n))
    np.put_along_axis(out, subsets, 0, axis=1)
    together = (out.T @ out / trials)[np.triu_indices(n, 1)]
    expected = (12 / 40) * (11 / 39)
    # 780 pairs: the largest of so many standard normal deviations is about 3.2.
    spread = np.sqrt(expected * (1 - expected) / trials)
    assert np.abs(together - expected).max() < 4.5 * spread
    assert abs(together.std() / spread - 1) < 0.25


def naive_passes(root, passes, n, piece):
    """The walk of balanced sampling, pass after pass, with lists."""
    walk, before = [], []
    for number in range(passes):
        key = jax.random.fold_in(purpose_key(root, Purpose.BALANCED_SUBSET), number)
        order = jax.random.permutation(key, n).tolist()
        left, next_left = number * n % piece, (number + 1) * n % piece
        taken = set(before[n - left :]) if left else set()
        begin = piece - left if left else 0
        repeated = [place for place in range(begin) if order[place] in taken]
        free = [k for k in range(begin, n - next_left) if order[k] not in taken]
        shuffled = list(order)
        for a, b in zip(repeated, free, strict=False):
            order[a], order[b] = order[b], order[a]
        walk, before = walk + order, shuffled
    return walk


@given(st.integers(2, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))))
@settings(deadline=None, derandomize=True, max_examples=15)
def test_balanced_subsets_are_the_pieces_of_the_walk(sizes):
    n, m = sizes
    piece, root = min(m, n - m), root_key(7)
    walk = naive_passes(root, 5, n, piece)
    for trial in range(4 * n // piece):
        pieces = set(walk[trial * piece : (trial + 1) * piece])
        assert len(pieces) == piece
        expected = pieces if piece == m else set(range(n)) - pieces
        assert np.asarray(draw_balanced(root, np.int32(trial), n, m)).tolist() == sorted(
            expected
        )


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**6), st.integers(2, 40))
@settings(deadline=None, derandomize=True, max_examples=25)
def test_rules_draw_what_their_masks_say(seed, trial, n):
    rules = [
        SubsetRule(n, max(1, n // 2)),
        SubsetRule(n, max(1, n // 2), "balanced"),
        SubsetRule(n, max(1, n // 2), "bernoulli", 0.5),
    ]
    for rule in rules:
        subset, mask = rule.draw(root_key(seed), np.int32(trial))
        index = np.asarray(subset.index)[: int(subset.count)]
        assert np.unique(index).size == index.size
        np.testing.assert_array_equal(np.flatnonzero(mask), np.sort(index))
        assert n - int(subset.count) <= rule.most_excluded or rule.sampling == "bernoulli"


def test_candidates_alone_are_held_out():
    candidates = np.arange(50) % 7 == 0  # 8 of them
    masks = candidate_masks(candidates, 400)
    assert masks[:, ~candidates].all()
    assert (masks[:, candidates].sum(axis=1) == 4).all()
    share = masks[:, candidates].mean(axis=0)
    np.testing.assert_allclose(share, 0.5, atol=4 * 0.5 / 20)  # standard errors
    np.testing.assert_array_equal(candidate_masks(candidates, 500)[:400], masks)
    assert (candidate_masks(candidates, 400, seed=1) != masks).any()
    assert (candidate_masks(candidates, 9, 0.75)[:, candidates].sum(axis=1) == 6).all()
    for nothing in (np.zeros(50, bool), np.arange(50) == 3):
        with pytest.raises(InputError, match="leaves a side empty"):
            candidate_masks(nothing, 4)


@pytest.mark.parametrize("sampling", ["uniform", "balanced", "bernoulli"])
def test_groups_are_drawn_as_examples_are(sampling):
    """As many of them, by the same keys; their examples are in or out together."""
    number = np.array([0, 1, 1, 2, 3, 3, 3, 4, 0])
    drawn = SubsetRule(5, 3, sampling, 0.6)
    most = 9 if sampling == "bernoulli" else 7  # of any, or of three groups
    rule = SubsetRule(9, 5, sampling, 0.6, most, drawn)
    times = np.zeros(5, int)
    for trial in range(10):
        subset, mask = rule.draw(root_key(3), np.int32(trial), None, number)
        chosen = np.asarray(drawn.draw(root_key(3), np.int32(trial))[1])
        np.testing.assert_array_equal(mask, chosen[number])
        index = np.asarray(subset.index)
        assert index.size == most and int(subset.count) == mask.sum()
        assert index[: int(subset.count)].tolist() == np.flatnonzero(mask).tolist()
        assert (index[int(subset.count) :] == index[0]).all()
        times += chosen
    if sampling == "balanced":
        assert (times == 6).all()  # 10 trials leave out 2 of 5 each


def test_masks_of_different_sizes_are_the_subsets():
    masks = np.random.default_rng(0).random((4, 11)) < [[0.2], [0.5], [0.9], [1.1]]
    rule = SubsetRule(11, 8, "given", 0.7, int(masks.sum(axis=1).max()))
    for trial, row in enumerate(masks):
        bits = np.packbits(masks, axis=1)
        subset, mask = rule.draw(root_key(0), np.int32(trial), jax.numpy.asarray(bits))
        np.testing.assert_array_equal(mask, row)
        count = int(subset.count)
        assert np.asarray(subset.index)[:count].tolist() == np.flatnonzero(row).tolist()
