"""How examples are learnt: what trainings showed of those that they saw, averaged.

One training shows some of what thousands of subset models measure. Jiang, Zhang, Talwar &
Mozer, ICML 2021 (arXiv 2002.03206) section 5 compare such proxies with scores from subsets;
`experiments/proxies.py` does with mem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxmem.errors import InputError

if TYPE_CHECKING:
    from jaxmem.estimates.results import Run

VALUES = 2**24  # read at a time


class LearningDynamics(NamedTuple):
    """Means over the trials that saw an example: float64 [N], NaN where none did."""

    cumulative_loss: np.ndarray  # nats: cross-entropy, summed over the epochs
    # Pleiss, Zhang, Elenberg & Weinberger, NeurIPS 2020 (arXiv 2001.10528), eq. 2: AUM
    area_under_margin: np.ndarray
    training_accuracy: np.ndarray  # share of the epochs in which it was right
    # Toneva et al., ICLR 2019 (arXiv 1812.05159), section 3: right, and wrong the next time
    forgetting_events: np.ndarray
    # Baldock, Maennel & Neyshabur, NeurIPS 2021 (arXiv 2106.09647), section 2: right from
    # then on; one more than there are epochs where the last one was wrong
    learnt_epoch: np.ndarray
    trials: np.ndarray  # int64 [N]: how many saw it

    @property
    def by_name(self) -> dict[str, np.ndarray]:
        """The means, without how many trials they are of."""
        return {name: values for name, values in self._asdict().items() if name != "trials"}

    @property
    def proxies(self) -> dict[str, np.ndarray]:
        """Each by name, with the sign of mem: high for what is learnt late or badly."""
        turned = "area_under_margin", "training_accuracy"
        return {k: -v if k in turned else v for k, v in self.by_name.items()}


def learning_dynamics(run: Run) -> LearningDynamics:
    """The means over a run's trials.

    Raises InputError if the run stored no dynamics.
    """
    if not run.config.dynamics:
        raise InputError(f"{run.workdir} stored no dynamics: run it with --dynamics")
    assert run.config.recipe is not None  # adopted trials have no dynamics
    seen = run.memorization_counts.n_in
    means = {}
    for name in _ARRAYS:
        total = np.zeros(run.tr_labels.size)
        some = max(1, VALUES // total.size)
        for start in range(0, run.trials.size, some):
            rows = run.reader.read(name, run.trials[start : start + some])
            total += rows.sum(axis=0, dtype=np.float64)  # 0 of what a trial did not see
        with np.errstate(divide="ignore", invalid="ignore"):
            means[name] = np.where(seen > 0, total / seen, np.nan)
    return LearningDynamics(
        cumulative_loss=means["cumulative_loss"],
        area_under_margin=means["mean_training_margin"],
        training_accuracy=means["epochs_correct"] / run.config.recipe.epochs,
        forgetting_events=means["forgetting_events"],
        learnt_epoch=means["learnt_epoch"],
        trials=np.asarray(seen, np.int64),
    )


_ARRAYS = (
    "cumulative_loss",
    "mean_training_margin",
    "epochs_correct",
    "forgetting_events",
    "learnt_epoch",
)
