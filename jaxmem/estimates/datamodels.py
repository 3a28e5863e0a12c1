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
    margins = run.test_margin[:, rows].astype(np.float64)
    masks = _Masks.of(run.included.astype(np.float64))
    with progress("fitting datamodels", rows.size, "test examples") as bar:
        fitted = []
        for margin in margins.T:
            fitted.append(_fit_one(masks, margin, strengths))
            bar.update()
    return Datamodels(*(np.array(part) for part in zip(*fitted, strict=True)))


def highest_margins(run: Run) -> np.ndarray:
    """Test margins, logit of the label minus the highest other: float16 [T, E].

    Raises InputError if the run stored none.
    """
    if not run.config.highest_margins:
        raise InputError(
            f"{run.workdir} stored no margins against the highest other logit: run it with "
            "--highest-margins"
        )
    return run.reader.read("test_highest_margin", run.trials)


class _Masks(NamedTuple):
    """Inclusion masks, float64 [., N], and what all fits share."""

    fit: np.ndarray  # centred
    choose: np.ndarray
    score: np.ndarray
    mean: np.ndarray  # float64 [N], of those to fit
    gram: np.ndarray  # float64 [N, N]

    @classmethod
    def of(cls, masks: np.ndarray) -> "_Masks":
        fit, choose, score = _split(masks)
        mean = fit.mean(axis=0)
        return cls(fit - mean, choose, score, mean, (fit - mean).T @ (fit - mean))


def _split(values: np.ndarray) -> list[np.ndarray]:
    """The rows to fit, to choose a penalty by, and to score on."""
    trials = len(values)
    return np.split(values, [7 * trials // 10, 85 * trials // 100])


def _fit_one(
    masks: _Masks, margin: np.ndarray, strengths: int
) -> tuple[np.ndarray, float, float]:
    """(weights [N], intercept, LDS) of one test example, of its margins [T]."""
    fit, choose, score = _split(margin)
    level = fit.mean()
    _, paths, _ = lasso_path(
        masks.fit,
        fit - level,
        eps=1e-3,
        alphas=strengths,
        precompute=masks.gram,
        Xy=masks.fit.T @ (fit - level),
    )
    intercepts = level - masks.mean @ paths
    errors = masks.choose @ paths + intercepts - choose[:, None]
    best = np.square(errors).mean(axis=0).argmin()
    weights, intercept = paths[:, best], intercepts[best]
    return weights, intercept, _lds(masks.score @ weights + intercept, score)


def _lds(predicted: np.ndarray, margin: np.ndarray) -> float:
    """Rank correlation of predicted and true margins; NaN where one is constant."""
    constant = np.ptp(predicted) == 0 or np.ptp(margin) == 0
    return np.nan if constant else spearmanr(predicted, margin).statistic
