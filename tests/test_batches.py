import jax.numpy as jnp
import numpy as np
import pytest

from jaxmem.batches import epoch_batches, steps_per_epoch
from jaxmem.keys import root_key
from jaxmem.subsets import draw_subset, inclusion_mask

N, M, BATCH = 50, 35, 8


def batches(batching, trial=0, epoch=0):
    subset = draw_subset(root_key(0), trial, N, M)
    mask = inclusion_mask(subset, N)
    made = epoch_batches(batching, root_key(0), trial, epoch, subset, mask, BATCH)
    assert made.index.shape == (steps_per_epoch(batching, N, M, BATCH), BATCH)
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


def test_masked_order_is_shared_by_all_trials():
    np.testing.assert_array_equal(batches("masked", 0)[0], batches("masked", 1)[0])
    assert not np.array_equal(batches("packed", 0)[0], batches("packed", 1)[0])


def test_no_padding_where_batches_fit():
    subset = jnp.arange(16)
    mask = inclusion_mask(subset, 20)
    made = epoch_batches("packed", root_key(0), 0, 0, subset, mask, 8)
    assert made.index.shape == (2, 8)
    assert np.all(made.weight == 1)
