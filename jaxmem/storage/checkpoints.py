"""Models on disk, through Orbax: those of finished trials, and those still in training.

WORKDIR/models/<number>/        final parameters and statistics of a block (--keep-models)
WORKDIR/in_flight/<number>/     the block in training: its states after some steps

Where several processes train into one workdir, each writes into a folder of its own in
these two, named after it, and reads those of all.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxmem._shared.devices import rounding
from jaxmem._shared.files import refusals, remove
from jaxmem._shared.objects import in_bucket
from jaxmem._shared.progress import say
from jaxmem.models.contract import PyTree
from jaxmem.storage.bucket_checkpoints import BucketManager
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
    """The final models of a workdir's trials, a folder a block.

    writer: the name of the process that saves, where it is one of several.
    """

    def __init__(self, workdir: Path, writer: str = ""):
        self._folder = workdir / "models"
        self._manager = _manager(self._folder / writer)
        self._numbers: dict[int, set[int]] = {}  # of our blocks: their trials
        for number in self._manager.all_steps():
            self._numbers[number] = set(_about(self._manager, number)["trials"])

    def save(self, trials: list[int], states: TrainState) -> None:
        """Keep parameters and statistics of the first len(trials) models of the states.

        Blocks of these trials alone, kept before a crash, are replaced. Raises InputError
        where the disk does not take them.
        """
        for number, kept in list(self._numbers.items()):
            if kept <= set(trials):
                self._manager.delete(number)
                del self._numbers[number]
        number = max(self._numbers, default=-1) + 1
        _save(self._manager, number, trials, len(trials), kept_part(states))
        self._numbers[number] = set(trials)

    def blocks(self, like: PyTree) -> Iterator[tuple[np.ndarray, PyTree]]:
        """(trials int [M], `kept_part` in NumPy with a leading M) of each.

        A later block has the last word on a trial that is in two. like: the same tree of
        ONE model, of arrays or shapes.
        """
        for about, number, manager in self._all():
            trials = np.array(about["trials"])
            yield trials, _load(manager, number, like, trials.size)

    def trials(self) -> np.ndarray:
        """The numbers of the trials that are kept: int [K], sorted."""
        kept = [about["trials"] for about, _, _ in self._all()]
        return np.unique(np.array([trial for block in kept for trial in block], np.int64))

    def _all(self) -> list[tuple[dict, int, ocp.CheckpointManager]]:
        """The blocks of all writers, in the order in which they were saved."""
        found = [
            (_about(manager, number), number, manager)
            for manager in _readers(self._folder)
            for number in manager.all_steps()
        ]
        return sorted(found, key=lambda block: (block[0].get("saved", 0), block[1]))


class TrainingOnDisk:
    """An `ensemble.InFlight`: keeps the newest states of the block in training.

    writer: the name of the process that trains, where it is one of several. check: raises
    where it shall stop.
    """

    def __init__(
        self, workdir: Path, writer: str = "", check: Callable[[], None] | None = None
    ):
        self._check = check
        self._root = workdir / "in_flight"
        self._folder = self._root / writer
        self._manager = None
        self._saved = time.perf_counter()

    def load(self, trials: np.ndarray, like: TrainState) -> tuple[int, TrainState] | None:
        """(steps done, states) of these very trials, whoever trained them, or None.

        Only what was trained on a machine that rounds as this one does is taken up: the
        trials are stored as trained here. The width is in the number of trials.
        """
        one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), like)
        wanted = {"trials": trials.tolist(), "machine": rounding()}
        found = []
        for folder in _folders(self._root):
            with self._whole(folder):
                manager = _manager(folder, writes=False)
                if (number := manager.latest_step()) is not None:
                    about = _about(manager, number)
                    if wanted.items() <= about.items():
                        found.append((about["steps"], number, manager, folder))
        for steps, number, manager, folder in sorted(found, key=_steps, reverse=True):
            with self._whole(folder):
                return steps, _load(manager, number, one, trials.size)
        return None

    @contextlib.contextmanager
    def _whole(self, folder: Path) -> Iterator[None]:
        """Passes over what cannot be read, and removes it if this process wrote it.

        Another's may be about to be replaced by its writer.
        """
        try:
            yield
        except Exception as error:  # whatever Orbax makes of damaged files
            if folder == self._folder:
                say(f"{folder} is damaged ({type(error).__name__}): training anew")
                self._close()
                for path in folder.glob("[0-9]*"):  # the folders of others stay
                    with contextlib.suppress(OSError):
                        remove(path)

    def steps_done(self, trials: np.ndarray, steps: int, states: TrainState) -> None:
        """Keep the states if the last time is SECONDS ago.

        Raises InputError where the disk does not take them.
        """
        if self._check is not None:
            self._check()
        if time.perf_counter() - self._saved < SECONDS:
            return
        number = (self._open().latest_step() or 0) + 1
        _save(self._open(), number, trials.tolist(), trials.size, states, steps)
        self._saved = time.perf_counter()

    def remove(self) -> None:
        """Forget it: what this process had to train is finished."""
        self._close()
        with contextlib.suppress(OSError):
            remove(self._folder)
            self._root.rmdir()  # unless others are there

    def _close(self) -> None:
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            self._manager = _manager(self._folder, max_to_keep=1)
        return self._manager


def _readers(folder: Path) -> list[ocp.CheckpointManager]:
    """Those of all writers; they remove nothing, since others may be writing."""
    return [_manager(path, writes=False) for path in _folders(folder)]


def _folders(folder: Path) -> list[Path]:
    """Those of all writers."""
    return [folder, *sorted(folder.glob("[!0-9]*/"))] if folder.exists() else []


def _steps(found: tuple) -> int:
    return found[0]


def _manager(
    folder: Path, max_to_keep: int | None = None, writes: bool = True
) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(
        max_to_keep=max_to_keep,
        cleanup_tmp_directories=writes,
        create=writes,
        # The states are donated to the next epoch: they must be on disk before.
        enable_async_checkpointing=False,
    )
    with refusals(folder, AGAIN):
        if in_bucket(folder):
            return BucketManager(folder, options)
        return ocp.CheckpointManager(folder.absolute(), options=options)


def _save(manager, number, trials, count, tree, steps=None) -> None:
    host = jax.tree.map(lambda a: np.array(a[:count]), tree)
    about = {
        "trials": [int(t) for t in trials],
        "steps": steps,
        "saved": time.time(),
        "machine": rounding(),
    }
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
