"""Datamodels: a linear model of a test example's margin in who was trained on.

Ilyas, Park, Engstrom, Leclerc & Madry, "Datamodels: Understanding Predictions with Data and
Data with Predictions" (ICML 2022, arXiv 2202.00622).
"""

from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy.stats import spearmanr
from sklearn.linear_model import lasso_path

from jaxmem._shared.arguments import one_of, rows_of, whole
from jaxmem._shared.progress import progress
from jaxmem.errors import InputError
from jaxmem.estimates.disjoint import disjoint_rows, subset_numbers
from jaxmem.estimates.results import Run

LEAST_SUBSETS = 20
PERCENT = (70, 15, 15)  # of the trials: to fit, to choose a penalty by, to score on
EPS = 1e-3  # of the lowest penalty to the one that allows no weight

Margin = Literal["log-sum-exp", "highest"]
MARGINS: tuple[str, ...] = get_args(Margin)


class Datamodels(NamedTuple):
    """K fitted datamodels: margin of the test example = weights · mask + intercept."""

    weights: np.ndarray  # float64 [K, N], mostly 0
    intercept: np.ndarray  # float64 [K]
    lds: np.ndarray  # float64 [K], linear datamodeling score; NaN for a constant prediction
    penalty: np.ndarray  # float64 [K], the chosen one, as of scikit-learn's Lasso


def fit_datamodels(
    run: Run,
    test_rows,
    strengths: int = 30,
    margin: Margin = "log-sum-exp",
    refit: bool = False,
) -> Datamodels:
    """LASSO of the margins of test rows on the inclusion masks, by scikit-learn.

    The first 70 % of the trials are fitted at `strengths` penalties, from the one that
    allows no weight down to a thousandth of it; the next 15 % choose among them; the last
    15 % give the LDS, the rank correlation of predicted and true margins on subsets that
    the fit has not seen (Park et al., "TRAK", ICML 2023, arXiv 2303.14186), of repeated
    subsets by their means. The three share no subset: `disjoint_trials`.

    As the authors make them (section 2; MadryLab/datamodels, compute_datamodels.py), with
    margin="highest" and refit=True: margins are the label's logit minus the highest other,
    which a run stores with --highest-margins, and what the chosen penalty gives is fitted
    again to fitted and choosing trials together. By default margins are those of --margins,
    against the log-sum-exp of the others, and the first fit stays.

    Fewer trials than training examples leave many weights at 0. Memory: [N, N] float64
    twice, to refit three times. Raises InputError without such margins, for rows outside
    the test set, and for fewer than 20 subsets.
    """
    rows = rows_of("test", test_rows, run.tt_labels.size)
    one_of("margin", margin, MARGINS)
    strengths = whole("strengths", strengths, least=1)
    every = highest_margins(run) if margin == "highest" else run.test_margin
    subsets = np.unique(subset_numbers(run)).size
    if subsets < LEAST_SUBSETS:
        raise InputError(
            f"{run.trials.size} trials of {subsets} subsets are too few for datamodels: "
            f"{LEAST_SUBSETS} subsets at least"
        )
    sections = _Sections.of(run, refit)
    with progress("fitting datamodels", rows.size, "test examples") as bar:
        fitted = []
        for values in every[:, rows].astype(np.float64).T:
            fitted.append(_fit_one(sections, values, strengths))
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


class _Section(NamedTuple):
    """Some trials, and what all fits to them share."""

    rows: np.ndarray  # int64 [T']
    masks: np.ndarray  # float64 [T', N], centred
    mean: np.ndarray  # float64 [N], what they were centred by
    gram: np.ndarray  # float64 [N, N]

    @classmethod
    def of(cls, run: Run, rows: np.ndarray) -> "_Section":
        masks = run.included[rows].astype(np.float64)
        mean = masks.mean(axis=0)
        masks -= mean
        return cls(rows, masks, mean, masks.T @ masks)

    def path(
        self, margin: np.ndarray, penalties: int | np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Penalties [P], weights [N, P] and intercepts [P], of all trials' margins [T]."""
        margin = margin[self.rows]
        level = margin.mean()
        centred = margin - level
        products = self.masks.T @ centred
        if isinstance(penalties, int):
            # As lasso_path chooses them, whose argument for that has changed its name.
            highest = max(np.abs(products).max() / len(centred), np.finfo(float).resolution)
            penalties = np.geomspace(highest, highest * EPS, penalties)
        chosen, weights, _ = lasso_path(
            self.masks,
            centred,
            precompute=self.gram,
            Xy=products,
            alphas=penalties,
        )
        return chosen, weights, level - self.mean @ weights


class _Sections(NamedTuple):
    """The trials of PERCENT, which share no subset."""

    fit: _Section
    choose: np.ndarray  # int64 [.], rows
    score: np.ndarray
    subset: np.ndarray  # int64 [.], of those to score on, from 0
    masks: np.ndarray  # float64 [T, N]
    again: _Section | None  # to fit and to choose by

    @classmethod
    def of(cls, run: Run, refit: bool) -> "_Sections":
        fit, choose, score = disjoint_rows(run, PERCENT)
        both = np.concatenate([fit, choose])
        return cls(
            _Section.of(run, fit),
            choose,
            score,
            np.unique(subset_numbers(run)[score], return_inverse=True)[1].ravel(),
            run.included.astype(np.float64),
            _Section.of(run, both) if refit else None,
        )


def _fit_one(
    sections: _Sections, margin: np.ndarray, strengths: int
) -> tuple[np.ndarray, float, float, float]:
    """(weights [N], intercept, LDS, penalty) of one test example, of its margins [T]."""
    penalties, paths, intercepts = sections.fit.path(margin, strengths)
    rows = sections.choose
    errors = sections.masks[rows] @ paths + intercepts - margin[rows][:, None]
    best = np.square(errors).mean(axis=0).argmin()
    if sections.again is not None:
        one = penalties[best : best + 1]
        penalties, paths, intercepts = sections.again.path(margin, one)
        best = 0
    weights, intercept = paths[:, best], intercepts[best]
    predicted = sections.masks[sections.score] @ weights + intercept
    lds = _lds(*(_means(x, sections.subset) for x in (predicted, margin[sections.score])))
    return weights, intercept, lds, penalties[best]


def _means(values: np.ndarray, subset: np.ndarray) -> np.ndarray:
    return np.bincount(subset, values) / np.bincount(subset)


def _lds(predicted: np.ndarray, margin: np.ndarray) -> float:
    """Rank correlation of predicted and true margins; NaN where one is constant."""
    constant = np.ptp(predicted) == 0 or np.ptp(margin) == 0
    return np.nan if constant else spearmanr(predicted, margin).statistic
