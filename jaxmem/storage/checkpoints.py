"""Models on disk, through Orbax: those of finished trials, and those still in training.

WORKDIR/models/<number>/        final parameters and statistics of a block (--keep-models)
WORKDIR/in_flight/<number>/     the block in training: its states after some steps
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxmem._shared.files import refusals
from jaxmem._shared.progress import say
from jaxmem.models.contract import PyTree
from jaxmem.training.fitting import TrainState

SECONDS = 120  # save at most this often; a crash loses about this much
AGAIN = "; finished trials are kept: make room and give the same command again"


def kept_part(states: TrainState) -> PyTree:
    """What a model is after training: parameters, statistics, the scaling of its inputs."""
    return {
        "params": states.params,
        "model_state": states.model_state,
        "scaling": states.scaling,
    }


class KeptModels:
    """The final models of a workdir's trials, a folder a block."""

    def __init__(self, workdir: Path):
        self._manager = _manager(workdir / "models")

    def save(self, trials: list[int], states: TrainState) -> None:
        """Keep parameters and statistics of the first len(trials) models of the states.

        Blocks of these trials alone, kept before a crash, are replaced. Raises InputError
        where the disk does not take them.
        """
        numbers = self._manager.all_steps()
        for number in numbers:
            if set(_about(self._manager, number)["trials"]) <= set(trials):
                self._manager.delete(number)
        # A later block has the last word on a trial that is in two.
        number = max(numbers, default=-1) + 1
        _save(self._manager, number, trials, len(trials), kept_part(states))

    def blocks(self, like: PyTree) -> Iterator[tuple[np.ndarray, PyTree]]:
        """(trials int [M], `kept_part` in NumPy with a leading M) of each.

        like: the same tree of ONE model, of arrays or shapes.
        """
        for number in sorted(self._manager.all_steps()):
            trials = np.array(_about(self._manager, number)["trials"])
            yield trials, _load(self._manager, number, like, trials.size)

    def trials(self) -> np.ndarray:
        """The numbers of the trials that are kept: int [K], sorted."""
        numbers = self._manager.all_steps()
        kept = [_about(self._manager, number)["trials"] for number in numbers]
        return np.unique(np.array([trial for block in kept for trial in block], np.int64))


class TrainingOnDisk:
    """An `ensemble.InFlight`: keeps the newest states of the block in training."""

    def __init__(self, workdir: Path):
        self._folder = workdir / "in_flight"
        self._manager = None
        self._saved = time.perf_counter()

    def load(self, trials: np.ndarray, like: TrainState) -> tuple[int, TrainState] | None:
        """(steps done, states) of these very trials, or None."""
        try:
            number = self._open().latest_step() if self._folder.exists() else None
            if number is None:
                return None
            about = _about(self._open(), number)
            if about["trials"] != trials.tolist():
                return None
            one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), like)
            return about["steps"], _load(self._open(), number, one, trials.size)
        except Exception as error:  # whatever Orbax makes of damaged files
            say(f"{self._folder} is damaged ({type(error).__name__}): training anew")
            self.remove()
            return None

    def steps_done(self, trials: np.ndarray, steps: int, states: TrainState) -> None:
        """Keep the states if the last time is SECONDS ago.

        Raises InputError where the disk does not take them.
        """
        if time.perf_counter() - self._saved < SECONDS:
            return
        number = (self._open().latest_step() or 0) + 1
        _save(self._open(), number, trials.tolist(), trials.size, states, steps)
        self._saved = time.perf_counter()

    def remove(self) -> None:
        """Forget it: the block is finished."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            self._manager = _manager(self._folder, max_to_keep=1)
        return self._manager


def _manager(folder: Path, max_to_keep: int | None = None) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(
        max_to_keep=max_to_keep,
        cleanup_tmp_directories=True,
        # The states are donated to the next epoch: they must be on disk before.
        enable_async_checkpointing=False,
    )
    with refusals(folder, AGAIN):
        return ocp.CheckpointManager(folder.absolute(), options=options)


def _save(manager, number, trials, count, tree, steps=None) -> None:
    host = jax.tree.map(lambda a: np.array(a[:count]), tree)
    about = {"trials": [int(t) for t in trials], "steps": steps}
    with refusals(manager.directory, AGAIN):
        manager.save(
            number,
            args=ocp.args.Composite(
                about=ocp.args.JsonSave(about), model=ocp.args.StandardSave(host)
            ),
            force=True,
        )
        manager.wait_until_finished()


def _about(manager, number: int) -> dict:
    args = ocp.args.Composite(about=ocp.args.JsonRestore())
    return manager.restore(number, args=args)["about"]


def _load(manager, number: int, one: PyTree, count: int) -> PyTree:
    target = jax.tree.map(lambda a: np.empty((count, *a.shape), a.dtype), one)
    args = ocp.args.Composite(model=ocp.args.StandardRestore(target))
    return manager.restore(number, args=args)["model"]
