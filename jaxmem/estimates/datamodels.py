"""Datamodels: a linear model of a test example's margin in who was trained on.

Ilyas, Park, Engstrom, Leclerc & Madry, "Datamodels: Understanding Predictions with Data and
Data with Predictions" (ICML 2022, arXiv 2202.00622).
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr
from sklearn.linear_model import lasso_path

from jaxmem._shared.arguments import rows_of
from jaxmem._shared.progress import progress
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run

LEAST_TRIALS = 20


class Datamodels(NamedTuple):
    """K fitted datamodels: margin of the test example = weights · mask + intercept."""

    weights: np.ndarray  # float64 [K, N], mostly 0
    intercept: np.ndarray  # float64 [K]
    lds: np.ndarray  # float64 [K], linear datamodeling score; NaN for a constant prediction


def fit_datamodels(run: Run, test_rows, strengths: int = 30) -> Datamodels:
    """LASSO of the margins of test rows on the inclusion masks, by scikit-learn.

    The first 70 % of the trials are fitted at `strengths` penalties, from the one that
    allows no weight down to a thousandth of it; the next 15 % choose among them; the last
    15 % give the LDS, the rank correlation of predicted and true margins on subsets that
    the fit has not seen (Park et al., "TRAK", ICML 2023, arXiv 2303.14186). Trials of a run
    are exchangeable, so its order will do. Fewer trials than training examples leave many
    weights at 0. Unlike the papers' code: margins are the label's logit minus the
    log-sum-exp of the others (theirs: minus the highest other), there is no refit on fitted
    and choosing trials together, and the LDS is against single trainings, not means of
    several on a subset, which puts its ceiling below 1. Memory: [N, N] float64 twice.
    Raises InputError without margins, for rows outside the test set, and for fewer than 20
    trials.
    """
    rows = rows_of("test", test_rows, run.tt_labels.size)
    trials = run.trials.size
    if trials < LEAST_TRIALS:
        raise InputError(
            f"{trials} trials are too few for datamodels: {LEAST_TRIALS} at least"
        )
    fit, choose, score = np.split(np.arange(trials), [7 * trials // 10, 85 * trials // 100])
    masks = run.included.astype(np.float64)
    mean = masks[fit].mean(axis=0)
    centred = masks[fit] - mean
    gram = centred.T @ centred
    found = []
    with progress("fitting datamodels", rows.size, "test examples") as bar:
        for row in rows:
            margin = run.test_margin[:, row].astype(np.float64)
            level = margin[fit].mean()
            target = margin[fit] - level
            _, paths, _ = lasso_path(
                centred,
                target,
                eps=1e-3,
                alphas=strengths,
                precompute=gram,
                Xy=centred.T @ target,
            )
            intercepts = level - mean @ paths
            errors = masks[choose] @ paths + intercepts - margin[choose, None]
            best = np.square(errors).mean(axis=0).argmin()
            weights, intercept = paths[:, best], intercepts[best]
            predicted = masks[score] @ weights + intercept
            constant = np.ptp(predicted) == 0 or np.ptp(margin[score]) == 0
            lds = np.nan if constant else spearmanr(predicted, margin[score]).statistic
            found.append((weights, intercept, lds))
            bar.update()
    return Datamodels(*(np.array(part) for part in zip(*found, strict=True)))
