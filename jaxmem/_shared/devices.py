"""This machine's devices: how many, which, and the one mesh that all programs run on."""

import ctypes
import math
import os
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

PyTree = Any
Array = np.ndarray | jax.Array  # on the host or on devices
AXIS = "trials"  # of the mesh: each device has trials (or tiles) of its own
# Options of glibc's mallopt (malloc.h).
M_ARENA_MAX, M_MMAP_MAX, M_TRIM_THRESHOLD = -8, -4, -1


def keep_freed_memory() -> None:
    """Have malloc keep what is freed, for the temporary arrays of the next step.

    glibc would give large blocks back to Linux, which zeroes every page of them again when
    it is touched (experiments/benchmark_allocation.py). Of the whole process; no effect
    with other C libraries, and where MALLOC_ARENA_MAX is set.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(M_ARENA_MAX, 1)  # the others have no room for large blocks
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


keep_freed_memory()  # now: libraries that start threads, as SciPy does, make more arenas


def use_all_cores() -> None:
    """Make each CPU core a device, so that small models train side by side.

    No effect on GPUs and TPUs, once JAX has started, and where the user has said how many.
    """
    said = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    # JAX makes its options at run time.
    if said or jax.config.jax_num_cpu_devices != -1:  # type: ignore[attr-defined]
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores())
    except RuntimeError:
        pass  # JAX has started: we use what it has


def cores() -> int:
    """How many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hardware() -> str:
    """What a plan depends on."""
    return f"{len(jax.local_devices())} x {device_kind()}"


def device_kind() -> str:
    """What a width is settled for."""
    return f"{jax.local_devices()[0].device_kind}, jax {jax.__version__}"


def rounding() -> str:
    """What the rounding of results may depend on, beside the width.

    A program for one device is compiled otherwise than one for several; on a CPU, XLA
    splits some products among its threads, the larger of cores and devices.
    """
    cpu = jax.default_backend() == "cpu"
    return f"{hardware()}, {cores()} cores" if cpu else hardware()


def make_mesh(most: int | None = None) -> Mesh:
    """All local devices, or the first `most` of them."""
    devices = jax.local_devices()[:most]
    return jax.make_mesh((len(devices),), (AXIS,), (AxisType.Auto,), devices=devices)


def out_of_memory(error: Exception) -> bool:
    """Whether a device had no room for a program or its results.

    GPUs and TPUs say so by a code; a CPU by one, or in the words of its allocator.
    """
    words = "RESOURCE_EXHAUSTED", "out of memory", "bad_alloc", "failed to allocate"
    return isinstance(error, MemoryError) or any(
        word.lower() in str(error).lower() for word in words
    )


def everywhere(values: PyTree, mesh: Mesh) -> PyTree:
    """Arrays on every device of a mesh; in host memory, one copy serves all CPU devices.

    JAX lends its CPU devices a NumPy array that begins at a multiple of 64 bytes.
    """
    return jax.device_put(
        jax.tree.map(aligned, values), NamedSharding(mesh, PartitionSpec())
    )


def aligned(values):
    """A NumPy array at a multiple of 64 bytes, copied where it is not; others as is."""
    if not isinstance(values, np.ndarray) or values.ctypes.data % 64 == 0:
        return values
    copy = aligned_empty(values.shape, values.dtype)
    copy[...] = values
    return copy


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A new NumPy array at a multiple of 64 bytes."""
    nbytes = math.prod(shape) * dtype.itemsize
    room = np.empty(nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + nbytes].view(dtype).reshape(shape)


def device_memory() -> int:
    """Bytes of one local device; of a CPU, the machine's."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
