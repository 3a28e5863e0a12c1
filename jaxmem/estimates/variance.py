"""Whose is the noise of mem: of what trials share, or of what they draw anew?

Trials come in levels, and those of a level share something: their initial parameters
(`fix="init"`, a level a seed), the order (`fix="order"`), the subset (repeated masks). The
variance between the means of levels is the part that is due to this alone: the numerator of
its first-order index, Var(E[y | x]) / Var(y) (Sobol', Mathematics and Computers in
Simulation 55, 2001, equation 4 with one variable).
"""

from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError


class Components(NamedTuple):
    """Of the variance of mem as one trial would estimate it; divide by T for T trials."""

    between: np.ndarray  # float64 [N], due to what trials of a level share; may be below 0
    within: np.ndarray  # float64 [N], of all else


def noise_components(
    included: np.ndarray, correct: np.ndarray, level: np.ndarray
) -> Components:
    """Components of var[correct | in] / f + var[correct | out] / (1 - f), f the share in.

    included, correct: bool [T, N], as a Run has them; level: int [T], each trial's. The
    estimator of either side is that of one-way analysis of variance with random effects,
    for levels of different sizes (Searle, Casella & McCulloch, Variance Components, 1992,
    section 3.6): (MSB - MSW) / n0 between, MSW within. NaN where a side has fewer than two
    levels, or no level with two trials. Raises InputError for shapes that do not belong
    together.
    """
    included, correct, level = map(np.asarray, (included, correct, level))
    if included.shape != correct.shape or level.shape != included.shape[:1]:
        raise InputError(
            f"included {list(included.shape)}, correct {list(correct.shape)} and level "
            f"{list(level.shape)} must be [T, N], [T, N] and [T]"
        )
    _, number = np.unique(level, return_inverse=True)
    levels = np.equal(np.arange(number.max() + 1)[:, None], number).astype(np.float64)
    parts = []
    for side in (included, ~included):
        share = side.mean(axis=0)
        found = _one_way(levels @ side, levels @ (side & correct))
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append([component / share for component in found])
    return Components(*(a + b for a, b in zip(*parts, strict=True)))


def _one_way(n: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances between and within levels, of trials n [K, N] of which hits are right."""
    total, levels = n.sum(axis=0), (n > 0).sum(axis=0)
    squares = np.divide(hits**2, n, np.zeros_like(hits), where=n > 0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (squares - hits.sum(axis=0) ** 2 / total) / (levels - 1)
        within = (hits.sum(axis=0) - squares) / (total - levels)  # a bit is its square
        typical = (total - (n**2).sum(axis=0) / total) / (levels - 1)
        known = (levels > 1) & (total > levels)
        return (
            np.where(known, (between - within) / typical, np.nan),
            np.where(known, within, np.nan),
        )
