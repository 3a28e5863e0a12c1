"""How sure we are."""

import numpy as np

from jaxmem.estimators import Counts


def standard_error(counts: Counts) -> np.ndarray:
    """Standard error of rate_difference(counts): float64; NaN where that is NaN.

    sqrt(p(1-p)/(n+2) + q(1-q)/(m+2)) with p = (hits_in + 1)/(n + 2), n = n_in, and q, m
    likewise for the excluded side: one success and one failure are added to each side
    (Agresti & Caffo, The American Statistician 54, 2000). The plain binomial formula says 0
    wherever a model was always right, which is where most examples are.
    """
    hits_in, n_in, hits_out, n_out = (np.asarray(c, np.float64) for c in counts)

    def variance(hits, n):
        rate = (hits + 1) / (n + 2)
        return rate * (1 - rate) / (n + 2)

    error = np.sqrt(variance(hits_in, n_in) + variance(hits_out, n_out))
    return np.where((n_in > 0) & (n_out > 0), error, np.nan)
