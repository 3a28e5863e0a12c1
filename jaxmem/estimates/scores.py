"""What is known of each training example, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow

from jaxmem.estimates.dynamics import learning_dynamics
from jaxmem.estimates.soft import soft_memorization
from jaxmem.estimates.valuation import held_out_accuracy, total_influence

if TYPE_CHECKING:
    from jaxmem.estimates.results import Run


def score_table(run: Run) -> pyarrow.Table:
    """A row for each training example.

    Its id, name and label (and class, where classes have names); its group, whose mem and
    influence then stand at each of its rows; mem with its standard
    error and 95 % interval; how the models that never saw it do: their accuracy, and the
    class that they name most, with their share; its influence summed over the test set
    ("relative" to the other examples' where subsets have one size: `TotalInfluence`); of
    runs with margins, soft mem with its standard error; of runs with dynamics, how the
    trials that saw it learnt it.
    """
    low, high = run.memorization_interval()
    columns = {"id": run.tr_ids, "name": run.tr_names, "label": run.tr_labels}
    if run.tr_groups is not None:
        columns["group"] = run.tr_groups
    if run.class_names:
        columns["class"] = np.array(run.class_names)[run.tr_labels]
    columns |= {
        "mem": run.memorization,
        "mem_se": run.memorization_se,
        "mem_low": low,
        "mem_high": high,
        "held_out_accuracy": held_out_accuracy(run),
    }
    if run.config.trained:
        prediction = run.held_out_prediction()
        columns["held_out_label"] = prediction.label
        if run.class_names:
            columns["held_out_class"] = np.array(run.class_names)[prediction.label]
        columns["held_out_share"] = prediction.share
    total = total_influence(run)
    name = "relative_influence" if total.relative else "total_influence"
    columns[name] = total.of_train
    if run.config.margins:
        columns["soft_mem"], columns["soft_mem_se"] = soft_memorization(run)
    if run.config.dynamics:
        columns |= learning_dynamics(run).by_name
    return pyarrow.table(columns)
