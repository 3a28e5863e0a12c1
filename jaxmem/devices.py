"""This machine's devices: how many, which, and the one mesh that all programs run on."""

import os

import jax
from jax.sharding import AxisType, Mesh

AXIS = "trials"  # of the mesh: each device has trials (or tiles) of its own


def use_all_cores() -> None:
    """Make each CPU core a device, so that small models train side by side.

    No effect on GPUs and TPUs, once JAX has started, and where the user has said how many.
    """
    said = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if said or jax.config.jax_num_cpu_devices != -1:
        return
    try:
        jax.config.update("jax_num_cpu_devices", _cores())
    except RuntimeError:
        pass  # JAX has started: we use what it has


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hardware() -> str:
    """What a plan, and the rounding of results, depend on."""
    devices = jax.local_devices()
    return f"{len(devices)} x {devices[0].device_kind}, jax {jax.__version__}"


def make_mesh() -> Mesh:
    """All local devices."""
    devices = jax.local_devices()
    return jax.make_mesh((len(devices),), (AXIS,), (AxisType.Auto,), devices=devices)


def out_of_memory(error: Exception) -> bool:
    """Whether a device had no room for a program or its results."""
    return "RESOURCE_EXHAUSTED" in str(error)
