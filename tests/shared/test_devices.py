"""CPU devices share one copy of the data and keep memory, and what its end looks like."""

import os
import platform
import subprocess
import sys

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


STILL_HELD = """
import ctypes, resource
from pathlib import Path
import jaxmem._shared.devices

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

before = resident()
block = libc.malloc(2**27)
ctypes.memset(block, 1, 2**27)
libc.free(block)
print((resident() - before) / 2**27)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="options of glibc")
@pytest.mark.parametrize("said", [None, "0"])
def test_freed_memory_is_kept_unless_the_user_says_otherwise(said):
    environment = {k: v for k, v in os.environ.items() if "MALLOC" not in k}
    environment |= {} if said is None else {"MALLOC_ARENA_MAX": said}
    command = [sys.executable, "-c", STILL_HELD]
    out = subprocess.run(command, env=environment, check=True, capture_output=True)
    held = float(out.stdout)  # of the freed block
    assert held > 0.9 if said is None else held < 0.1
