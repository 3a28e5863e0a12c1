import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmem.training.batches import epoch_batches, steps_per_epoch
from jaxmem.training.keys import GROUP, root_key
from jaxmem.training.subsets import Subset, draw_bernoulli, draw_subset, inclusion_mask

N, M, BATCH = 50, 35, 8


def batches(batching, trial=0, epoch=0):
    subset = draw_subset(root_key(0), trial, N, M)
    mask = inclusion_mask(subset, N)
    steps = steps_per_epoch(batching, N, M, BATCH)
    given = Subset(subset, M)
    made = epoch_batches(batching, root_key(0), trial, epoch, given, mask, steps)
    assert made.index.shape == (steps, -(-(M if batching == "packed" else N) // steps))
    return np.asarray(made.index), np.asarray(made.weight), np.asarray(mask)


@pytest.mark.parametrize("batching", ["packed", "masked"])
def test_every_included_example_is_weighted_once_an_epoch(batching):
    index, weight, mask = batches(batching)
    seen = np.zeros(N)
    np.add.at(seen, index, weight)
    np.testing.assert_array_equal(seen, mask.astype(float))


def test_packed_reads_no_excluded_example():
    index, _, mask = batches("packed")
    assert mask[index].all()


@pytest.mark.parametrize("batching", ["packed", "masked"])
def test_order_is_new_each_epoch(batching):
    first, second = (batches(batching, epoch=e)[0] for e in (0, 1))
    assert not np.array_equal(first, second)


def test_masked_order_is_shared_by_a_group_of_trials():
    first = batches("masked", 0)[0]
    np.testing.assert_array_equal(first, batches("masked", GROUP - 1)[0])
    assert not np.array_equal(first, batches("masked", GROUP)[0])
    assert not np.array_equal(batches("packed", 0)[0], batches("packed", 1)[0])


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 23])
def test_batches_of_an_epoch_differ_by_one_at_most(count):
    """Also where the size of the subset is drawn: as many steps, and no example twice."""
    steps = steps_per_epoch("packed", 30, 20, 8)
    index = jnp.where(jnp.arange(25) < count, jnp.arange(25) + 3, 3)
    for subset in (Subset(jnp.arange(count) + 3, count), Subset(index, jnp.int32(count))):
        made = epoch_batches("packed", root_key(0), 0, 0, subset, jnp.ones(30, bool), steps)
        sizes = np.asarray(made.weight).sum(axis=1)
        assert sizes.size == steps == 3 and np.ptp(sizes) <= 1 and sizes.sum() == count
        walked = np.asarray(made.index)[np.asarray(made.weight) > 0]
        np.testing.assert_array_equal(np.sort(walked), np.arange(count) + 3)


def test_coins_include_each_example_alone():
    draw = jax.vmap(lambda t: draw_bernoulli(root_key(0), t, 40, 0.3))
    subsets = draw(jnp.arange(4000))
    masks = np.zeros((4000, 40), bool)
    for mask, index, count in zip(masks, *map(np.asarray, subsets), strict=True):
        mask[index[:count]] = True
        assert mask.sum() == count
    sizes = masks.sum(axis=1)
    assert abs(sizes.mean() - 12) < 5 * np.sqrt(8.4 / 4000)
    assert abs(sizes.var() - 8.4) < 1.0
    assert abs(masks.mean(axis=0) - 0.3).max() < 5 * np.sqrt(0.21 / 4000)


def test_no_padding_where_batches_fit():
    mask = inclusion_mask(jnp.arange(16), 20)
    made = epoch_batches("packed", root_key(0), 0, 0, Subset(jnp.arange(16), 16), mask, 2)
    assert made.index.shape == (2, 8)
    assert np.all(made.weight == 1)
