"""A worker of a cluster: trains the leases that the driver deals it, and returns them.

It writes nothing but models and states in flight.
"""

import os
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxmem._shared.cache import keep_compiled
from jaxmem._shared.devices import out_of_memory
from jaxmem._shared.files import location
from jaxmem._shared.objects import in_bucket
from jaxmem.data import Dataset, load_dataset
from jaxmem.errors import InputError
from jaxmem.running.configuring import Configured
from jaxmem.running.planning import Placing, choose_placement, make_plan
from jaxmem.storage.checkpoints import KeptModels, TrainingOnDisk
from jaxmem.storage.config import RunConfig
from jaxmem.storage.layouts import Layout
from jaxmem.training.ensemble import Ensemble, Plan, run_blocks
from jaxmem.training.programs import Programs
from jaxmem.version import __version__

DRIVER = ".driver"  # of a workdir, while a driver is at work


class Versions(NamedTuple):
    """What driver and workers must agree in."""

    jaxmem: str
    jax: str

    def __str__(self) -> str:
        return f"jaxmem {self.jaxmem} and jax {self.jax}"


def versions() -> Versions:
    """Of this process."""
    return Versions(__version__, jax.__version__)


class Task(NamedTuple):
    """What all workers of a run are told."""

    configure: Callable[[Dataset], Configured]
    config: RunConfig  # the driver's
    placement: Placing
    folder: str  # in which the driver runs
    workdir: str
    keep_models: bool
    source: dict[str, Any] | None = (
        None  # arguments of `load_dataset`, where they are known
    )
    token: str = ""  # what `DRIVER` holds
    cpus: int | None = None  # CPU cores to train on; None: on an accelerator


class Returned(NamedTuple):
    """A finished lease."""

    outcomes: dict[str, Any]  # rows in the order of its trials
    waited: float


class Worker:
    """What runs in an actor. Methods are called one after another."""

    def __init__(self, name: str):
        self._name = name

    def versions(self) -> Versions:
        """Before anything else is sent."""
        return versions()

    def set_up(self, task: Task) -> bool:
        """Load the dataset by its name; False: it cannot be had here, or is another."""
        self._task = task
        jax.config.update("jax_enable_x64", False)  # which would draw other numbers
        if os.path.isdir(task.folder):
            os.chdir(task.folder)
        if task.cpus is not None:
            jax.config.update("jax_platforms", "cpu")
            jax.config.update("jax_num_cpu_devices", task.cpus)
        keep_compiled()
        if task.keep_models and not self._sees_workdir():
            raise InputError(
                f"a worker on {os.uname().nodename} does not see {task.workdir}, where "
                "models are to be kept; give a --workdir that all nodes share"
            )
        if task.source is None:
            return False
        try:
            data = load_dataset(**task.source)
        except (InputError, OSError):
            return False
        return data.fingerprint == task.config.data and self.receive(data)

    def receive(self, data: Dataset) -> bool:
        """Take a dataset, and make the ensemble."""
        configured = self._task.configure(data)
        if differ := configured.config.differences(self._task.config, "resume"):
            raise InputError(
                f"a worker on {os.uname().nodename} would train another run: "
                f"{differ[0].term} is {differ[0].mine} there, {differ[0].other} here"
            )
        nbytes = data.train.images.nbytes + data.test.images.nbytes
        placement = choose_placement(self._task.placement, nbytes)
        self._ensemble: Ensemble = configured.ensemble(placement, self._room)
        self._programs: dict[int, Programs] = {}
        self._in_flight: TrainingOnDisk | None = None
        self._kept: KeptModels | None = None
        if self._sees_workdir():
            workdir = location(self._task.workdir)
            self._in_flight = TrainingOnDisk(workdir, self._name)
            self._kept = KeptModels(workdir, self._name) if self._task.keep_models else None
        return True

    def layout(self) -> Layout:
        """The kind of its devices and machine; of no width yet."""
        return Layout.here(0)

    def plan(self, width: int | None) -> Plan | None:
        """How it trains with a width; None: times a few. Gives None if memory is short."""
        try:
            return make_plan(self._ensemble, width)
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return None

    def train(self, trials: tuple[int, ...], plan: Plan) -> Returned | None:
        """Train a lease; None: it does not fit into memory at this width."""
        if plan.width not in self._programs:
            self._programs[plan.width] = self._ensemble.programs(plan.width)
        programs = self._programs[plan.width]
        parts, waited = [], 0.0
        try:
            for block in run_blocks(
                self._ensemble, plan, trials, self._in_flight, programs
            ):
                if self._kept is not None and block.states is not None:
                    self._kept.save(block.trials, block.states)
                parts.append(block.outcomes)
                waited = max(waited, block.waited)
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return None
        names = parts[0]
        rows = {name: np.concatenate([part[name] for part in parts]) for name in names}
        return Returned(rows, waited)

    def _sees_workdir(self) -> bool:
        """Whether it is the driver's: a copy has another token, or none."""
        try:
            return (location(self._task.workdir) / DRIVER).read_text() == self._task.token
        except (OSError, ValueError):
            return False

    def _room(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        here = not in_bucket(location(self._task.workdir)) and self._sees_workdir()
        where = self._task.workdir if here else None
        with tempfile.TemporaryFile(dir=where) as file:
            return np.memmap(file, dtype, "w+", shape=shape)
