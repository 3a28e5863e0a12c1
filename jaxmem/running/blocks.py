"""Finished blocks of trials, one after another, wherever and however they are trained."""

import contextlib
from collections.abc import Generator
from typing import NamedTuple

import jax
import numpy as np

from jaxmem._shared.devices import out_of_memory
from jaxmem._shared.progress import progress
from jaxmem.errors import InputError
from jaxmem.storage.layouts import Layout
from jaxmem.training.ensemble import Block, Ensemble, InFlight, Plan, run_blocks
from jaxmem.training.fitting import TrainState
from jaxmem.training.job import Job

TOO_LARGE = (
    "not even one model a device fits in memory; give a smaller --batch-size or --model, "
    "or on a CPU fewer devices by XLA_FLAGS=--xla_force_host_platform_device_count=1"
)


LONG = 5.0  # seconds of a block, from which on its epochs are shown


class Finished(NamedTuple):
    """A block, and how it was trained."""

    block: Block
    layout: Layout


def finished_blocks(
    ensemble: Ensemble, plan: Plan, trials: list[int], in_flight: InFlight
) -> Generator[Finished]:
    """The trials, block by block; ensembles that do not fit into memory become narrower.

    Raises InputError where not even one model a device fits.
    """
    while trials:
        shown = _Shown(in_flight, ensemble.job)
        try:
            with contextlib.closing(shown):
                for block in run_blocks(ensemble, plan, trials, shown):
                    trials = trials[len(block.trials) :]
                    yield Finished(block, Layout.here(plan.width))
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if plan.width == 1:
                raise InputError(TOO_LARGE) from error
            # Evaluation needed more than the training that the width was timed on.
            plan = plan._replace(width=plan.width // 2)


class _Shown:
    """An `InFlight` that shows the epochs of a block: all trials may be in one of hours."""

    def __init__(self, in_flight: InFlight, job: Job):
        self._in_flight, self._job = in_flight, job
        self._bar = None

    def load(self, trials: np.ndarray, like: TrainState) -> tuple[int, TrainState] | None:
        found = self._in_flight.load(trials, like)
        self.close()
        epochs, done = self._job.learner.recipe.epochs, found[0] if found else 0
        what = f"block of {np.unique(trials).size} trials:"
        self._bar = progress(what, epochs, "epochs", done // self._job.steps, LONG)
        return found

    def steps_done(self, trials: np.ndarray, steps: int, states: TrainState) -> None:
        self._in_flight.steps_done(trials, steps, states)
        if self._bar is not None:
            self._bar.update(steps // self._job.steps - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
