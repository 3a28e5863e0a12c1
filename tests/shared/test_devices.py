"""One copy of the data for all CPU devices, and what running out of memory looks like."""

import jax
import numpy as np
import pytest

from jaxmem._shared.devices import everywhere, make_mesh, out_of_memory


@pytest.mark.parametrize("start", [0, 1])
def test_cpu_devices_share_one_copy(start):
    values = np.arange(10_001, dtype=np.uint8)[start:]
    placed = everywhere(values, make_mesh())
    copies = {shard.data.unsafe_buffer_pointer() for shard in placed.addressable_shards}
    assert len(placed.addressable_shards) == 4 and len(copies) == 1
    np.testing.assert_array_equal(placed, values)


@pytest.mark.parametrize(
    "said",
    [
        "RESOURCE_EXHAUSTED: Failed to allocate",
        "INTERNAL: Error dispatching computation: Out of memory allocating 144000 bytes.",
        "std::bad_alloc",
    ],
)
def test_out_of_memory_on_any_device(said):
    assert out_of_memory(jax.errors.JaxRuntimeError(said))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(jax.errors.JaxRuntimeError("INVALID_ARGUMENT"))
