"""Which labels are wrong, by the margins of models that never saw them.

A model that did not train on an example has no reason to repeat a wrong label: its margin,
the logit of the label minus the log-sum-exp of the others, is negative there. Its mean over
held-out models ranks labels after a few trials, where counts of right and wrong need
hundreds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxmem.errors import InputError

if TYPE_CHECKING:
    from jaxmem.estimates.results import Run

ROWS = 4096  # examples whose margins are held at a time


class HeldOutMargin(NamedTuple):
    """What the models that never saw an example think of its label."""

    mean: np.ndarray  # float64 [N]; NaN where every model saw it
    se: np.ndarray  # float64 [N], of the mean; NaN for fewer than two models
    models: np.ndarray  # int64 [N], how many


def held_out_margin(run: Run) -> HeldOutMargin:
    """Mean margin of each training example over the trials that excluded it.

    Raises InputError if the run stored no margins, and where trials trained in masked
    batching: these share orders in groups, so that standard errors would be too small.
    """
    if run.config.batching == "masked":
        raise InputError(
            f"{run.workdir} was run with --batching=masked, whose trials depend on each "
            "other; run it with --batching=packed"
        )
    parts = []
    for start in range(0, run.tr_labels.size, ROWS):
        part = slice(start, start + ROWS)
        out = ~run.included[:, part]
        margin = np.where(out, run.train_margin[:, part].astype(np.float64), 0)
        models = out.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = margin.sum(axis=0) / models
            squares = (np.where(out, margin - mean, 0) ** 2).sum(axis=0)
            se = np.sqrt(squares / (models - 1) / models)
        parts.append((mean, np.where(models > 1, se, np.nan), models))
    return HeldOutMargin(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def rank(margin: np.ndarray) -> np.ndarray:
    """Rows int64 [N] in the order of suspicion: lowest margin first, NaN last."""
    return np.argsort(margin, kind="stable")
