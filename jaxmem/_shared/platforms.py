"""Where ways of computing part by platform, when a program is compiled."""

from collections.abc import Callable

from jax import lax


def by_platform(*args, cpu: Callable, gpu: Callable, tpu: Callable):
    """f(*args) by the function of the platform that the program is compiled for.

    Not for `jax.default_backend()`: some programs are compiled for devices elsewhere.
    """
    return lax.platform_dependent(*args, cpu=cpu, cuda=gpu, rocm=gpu, tpu=tpu)
