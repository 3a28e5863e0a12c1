"""How sure we are."""

import jax
import jax.numpy as jnp

from jaxmem.estimators import Counts


def standard_error(counts: Counts) -> jax.Array:
    """Standard error of rate_difference(counts): float64; NaN where that is NaN.

    sqrt(p(1-p)/(n+2) + q(1-q)/(m+2)) with p = (hits_in + 1)/(n + 2), n = n_in, and q, m
    likewise for the excluded side: one success and one failure are added to each side
    (Agresti & Caffo, The American Statistician 54, 2000). The plain binomial formula says 0
    wherever a model was always right, which is where most examples are.
    """
    with jax.enable_x64(True):
        return _standard_error(counts)


@jax.jit
def _standard_error(counts: Counts) -> jax.Array:
    hits_in, n_in, hits_out, n_out = (c.astype(jnp.float64) for c in counts)

    def variance(hits, n):
        rate = (hits + 1) / (n + 2)
        return rate * (1 - rate) / (n + 2)

    error = jnp.sqrt(variance(hits_in, n_in) + variance(hits_out, n_out))
    return jnp.where((n_in > 0) & (n_out > 0), error, jnp.nan)
