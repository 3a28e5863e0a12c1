"""A product whose models take turns under `vmap`, forward and backward.

For convolutions that are not ours: what a `vmap` makes of them (more groups) is slower on a
CPU and a GPU than one after another.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jaxmem._shared.platforms import by_platform

Product = Callable[[jax.Array, jax.Array], jax.Array]


def in_turn(product: Product) -> Product:
    """product(a, b), which is linear in each of the two."""

    @jax.custom_vjp
    def f(a, b):
        return _batched(product)(a, b)

    def fwd(a, b):
        return f(a, b), (a, b)

    def bwd(saved, grad):
        a, b = saved

        def of_a(grad, b):
            return jax.linear_transpose(lambda x: product(x, b), _like(a))(grad)[0]

        def of_b(a, grad):
            return jax.linear_transpose(lambda x: product(a, x), _like(b))(grad)[0]

        return _batched(of_a)(grad, b), _batched(of_b)(a, grad)

    f.defvjp(fwd, bwd)
    return f


def _like(a: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(a.shape, a.dtype)


def _batched(product: Product) -> Product:
    @custom_vmap
    def f(a, b):
        return product(a, b)

    @f.def_vmap
    def rule(axis_size, in_batched, a, b):
        def loop(a, b):
            def one(i):
                return f(a[i] if in_batched[0] else a, b[i] if in_batched[1] else b)

            return lax.map(one, jnp.arange(axis_size))

        axes = tuple(0 if batched else None for batched in in_batched)
        together = jax.vmap(product, axes)
        return by_platform(a, b, cpu=loop, gpu=loop, tpu=together), True

    return f
