"""Does removing what scores name change a prediction? Retrain without it, and compare."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmem._shared.arguments import rows_of, whole
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run
from jaxmem.running.architecture import options_of
from jaxmem.running.trials import run_trials


class Removals(NamedTuple):
    """What became of J test examples without the examples that scores name for them."""

    test_rows: np.ndarray  # int64 [J]
    drop: np.ndarray  # float64 [J], mean margin without random examples minus without these
    drop_se: np.ndarray  # float64 [J], Welch's standard error
    correct: np.ndarray  # float64 [J], share of trainings that are right without these
    correct_random: np.ndarray  # float64 [J], without random ones


def remove_top(
    data: Dataset,
    run: Run,
    scores: np.ndarray,
    test_rows,
    top: int,
    trainings: int = 10,
    workdir: str | Path | None = None,
) -> Removals:
    """Retrain without the `top` training examples of the highest scores, and at random.

    The counterfactual check of Ilyas et al., "Datamodels" (ICML 2022, arXiv 2202.00622,
    data support), also called brittleness (Singla et al. 2023, arXiv 2303.01928); top=1 is
    leave-one-out. Of each test example apart, `trainings` models see all but these
    examples; as many see all but as many random ones, another draw each, and serve all test
    examples. The network, recipe and seed are the run's. The trials of WORKDIR (default:
    removal-<top> in the run's) resume.

    scores: float [N, E], higher: helps more; test_rows: int [J]. That is (J + 1) trainings
    times `trainings`. Raises InputError for scores of another shape or with NaN, rows
    outside the test set, a top that leaves nothing, adopted trials, and as `run_trials`.
    """
    n, e = run.tr_labels.size, run.tt_labels.size
    scores, rows = np.asarray(scores), rows_of("test", test_rows, e)
    top, trainings = whole("top", top, least=1), whole("trainings", trainings, least=2)
    if scores.shape != (n, e):
        raise InputError(f"scores of shape {list(scores.shape)}: expected {[n, e]}")
    if not np.isfinite(scores[:, rows]).all():
        raise InputError("scores of these test rows are NaN or infinite")
    if top >= n:
        raise InputError(f"top {top} leaves nothing of {n} training examples")
    if run.config.recipe is None:
        raise InputError(f"the trials of {run.workdir} have no recipe: adopted")
    seed = run.config.seed or 0
    masks = np.ones((rows.size + 1, trainings, n), bool)
    for mask, row in zip(masks, rows, strict=False):
        mask[:, np.argsort(-scores[:, row], kind="stable")[:top]] = False
    for number, mask in enumerate(masks[-1]):
        rng = np.random.default_rng([seed, number, top])
        mask[rng.choice(n, top, replace=False)] = False
    retrained = run_trials(
        data,
        workdir=run.workdir / f"removal-{top}" if workdir is None else workdir,
        masks=masks.reshape(-1, n),
        model=run.config.model,
        model_options=options_of(run.config),
        seed=seed,
        margins=True,
        mem=False,
        **vars(run.config.recipe),
    )
    return _compare(retrained, rows, trainings)


def _compare(retrained: Run, rows: np.ndarray, trainings: int) -> Removals:
    """Groups of `trainings` trials: of each test row, then without random examples."""
    group = retrained.trials // trainings
    if np.bincount(group, minlength=rows.size + 1).min() < 2:
        raise InputError("too many trainings diverged; give a smaller --learning-rate")
    margin = retrained.test_margin[:, rows].astype(np.float64)
    right = retrained.test_correct[:, rows]
    random = group == rows.size
    found = []
    for place in range(rows.size):
        own, other = margin[group == place, place], margin[random, place]
        found.append(
            (
                other.mean() - own.mean(),
                np.sqrt(own.var(ddof=1) / own.size + other.var(ddof=1) / other.size),
                right[group == place, place].mean(),
                right[random, place].mean(),
            )
        )
    return Removals(rows, *np.array(found).reshape(-1, 4).T)
