"""Does it help to leave out the suspects? Train with and without them, and compare."""

import numpy as np
from scipy.stats import t as student

from jaxmem._shared.arguments import whole
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.estimates.suspects import Confirmation, Gain, Suspects
from jaxmem.running.architecture import options_of
from jaxmem.running.trials import run_trials
from jaxmem.training.judging import judging_recipe
from jaxmem.training.subsets import removal_masks


def confirm(found: Suspects, data: Dataset, trials: int) -> Confirmation:
    """Train `trials` models each on all, without suspects, relabelled, and without others.

    The network and recipe are those of the last round, with a warm-up, without which
    networks differ so much that few of them show nothing. WORKDIR/confirm-…/ hold the
    trials, so that the same call resumes. Raises InputError where nothing is suspected, and
    as `run_trials`.
    """
    trials = whole("trials to confirm by", trials, least=2)
    if not found.suspected.any():
        raise InputError("there are no suspects, so there is nothing to confirm")
    last = found.rounds[-1].config
    n, seed = data.train.labels.size, last.seed or 0
    judging = last.recipe
    assert judging is not None  # jaxmem trained it
    relabelled = data._replace(train=data.train._replace(labels=found.relabelled()))
    removal = removal_masks(found.suspected, trials, seed)

    def accuracies(name: str, masks: np.ndarray, data: Dataset = data) -> np.ndarray:
        m = int(masks[0].sum())
        recipe = vars(judging) | {
            "batch_size": judging_recipe(m)["batch_size"],
            "warmup": max(judging.warmup, judging.epochs / 8),
        }
        run = run_trials(
            data,
            workdir=found.workdir / f"confirm-{name}",
            masks=masks,
            model=last.model,
            model_options=options_of(last),
            seed=seed,
            mem=False,
            **recipe,
        )
        return run.test_accuracy

    everything = np.ones((trials, n), bool)
    whole_set = accuracies("all", everything)
    return Confirmation(
        float(whole_set.mean()),
        _gain(accuracies("cleaned", removal.chosen), whole_set),
        _gain(accuracies("relabelled", everything, relabelled), whole_set),
        _gain(accuracies("random", removal.random), whole_set),
    )


def _gain(changed: np.ndarray, whole_set: np.ndarray) -> Gain:
    """The difference of two means, with Welch's interval."""
    sizes = np.array([changed.size, whole_set.size])
    if sizes.min() < 2:
        raise InputError("too many trainings diverged; give a smaller --learning-rate")
    parts = np.array([changed.var(ddof=1), whole_set.var(ddof=1)]) / sizes
    difference = float(changed.mean() - whole_set.mean())
    half = 0.0
    if parts.sum() > 0:
        freedom = parts.sum() ** 2 / (parts**2 / (sizes - 1)).sum()
        half = float(student.ppf(0.975, freedom) * np.sqrt(parts.sum()))
    return Gain(difference, difference - half, difference + half, float(changed.mean()))
