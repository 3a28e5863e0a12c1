"""How wide an ensemble to run on this machine: time a few widths, keep the fastest."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem._shared.arguments import one_of
from jaxmem._shared.devices import (
    device_kind,
    device_memory,
    hardware,
    out_of_memory,
)
from jaxmem._shared.progress import progress, say
from jaxmem.storage.config import RunConfig
from jaxmem.storage.layouts import Layout, read_layouts, rounds_key, settle
from jaxmem.training import fitting
from jaxmem.training.augmentation import view_shape
from jaxmem.training.ensemble import Ensemble, Placement, Plan
from jaxmem.training.fitting import TrainState
from jaxmem.training.job import Job

GROWTH = 4  # from one width to the next
PROBE_STEPS = 32  # training steps that a width is timed on
PROBE_SECONDS = 0.1  # a timing repeats them until it has taken this long
TURNS = 3  # timings of a width, in turns with the one it must beat
WIDER_MUST_GAIN = 1.1  # how much faster a wider ensemble must be: else noise would choose
BLOCK_SECONDS = 2.0  # about what a block takes, where a trial takes less
DEVICE_SHARE = 1 / 3  # of a device's memory that images may take
# Operations of one model's training step that fill a device. On a CPU that is a step of
# about 50 ms; on an H200 steps of 0.7e12 and more were slower side by side.
FILLS = {"cpu": 5e9, "gpu": 3e11, "tpu": 3e11}
FILLING = 64  # widths begin above 1 where so many models do not fill an accelerator

Placing = Literal["auto", "device", "host"]
PLACINGS: tuple[str, ...] = get_args(Placing)


# What this process has timed already, so that trainings on many subsets of one dataset
# (removal sets, fractions, flipped labels) are timed once.
TIMED: dict[tuple, Plan] = {}


def choose_placement(placement: Placing, nbytes: int) -> Placement:
    """Where images of so many bytes lie: "auto" leaves large ones on the host."""
    one_of("placement", placement, PLACINGS)
    if placement != "auto":
        return placement
    memory = device_memory()
    if nbytes <= memory * DEVICE_SHARE:
        return "device"
    say(
        f"the images, {nbytes / 2**30:,.1f} GiB, stay on the host: they are more than a "
        f"third of the {memory / 2**30:,.1f} GiB of a device (--placement)"
    )
    return "host"


def recall_plan(
    workdir: Path, ensemble: Ensemble, width: int | None, config: RunConfig, trials: int
) -> Plan:
    """The plan that the workdir remembers for this hardware, or a new one, for some trials.

    Wider products round differently, so a resumed run keeps the width of its kind of
    device: then it gives bit for bit what an uninterrupted one gives. Where a device has at
    most one trial, or a given width takes all at once, nothing is timed: that would cost as
    much as the training.
    """
    known, devices, kind = read_layouts(workdir), ensemble.mesh.size, device_kind()
    given = width is not None
    width = width if given else known.width(kind)
    rounds = known.rounds.get(rounds_key(width)) if width else None
    if width is not None and rounds is not None:
        plan = Plan(devices, width, rounds)
    elif width is not None and trials <= devices * width:
        plan = Plan(devices, width, 1)
    elif width is None and trials <= devices:
        settled = settle(workdir, Layout.here(1), timed=False)
        return Plan(devices, settled.width(kind) or 1, 1)
    elif width in (None, 1) and _filling(ensemble) >= 1:
        # What a few steps of it take, more often than once, would be noticed.
        plan, rounds = Plan(devices, 1, 1), 1
    else:
        alike = hardware(), width, config.identity("time")
        if alike not in TIMED:
            TIMED[alike] = make_plan(ensemble, width)
        plan = TIMED[alike]
        rounds = plan.rounds
    settled = settle(workdir, Layout.here(plan.width), rounds, replace=given)
    width = settled.width(kind) or plan.width
    if width == plan.width:
        return plan
    # Another process timed this kind of device too, and was faster.
    return Plan(devices, width, max(1, plan.rounds * plan.width // width))


def make_plan(ensemble: Ensemble, width: int | None = None) -> Plan:
    """Take the given width, or time a few and keep the fastest that fits in memory.

    The number of trials has no say: a run that is topped up keeps its plan, and by that the
    rounding of its products.
    """
    probe = _probe_job(ensemble.job)
    one_each = ensemble.place(np.arange(ensemble.mesh.size, dtype=np.int32))
    states = ensemble.programs(1, probe).init(one_each)
    if width is None:
        width, seconds = _fastest(ensemble, probe, states)
    else:
        timer = _timer(ensemble, probe, states, width)
        seconds = min(timer() for _ in range(TURNS))
    devices = ensemble.mesh.size
    assert probe.first_steps is not None  # a probe is cut
    steps = ensemble.job.learner.recipe.epochs * ensemble.job.learner.steps
    longer = steps / (probe.learner.recipe.epochs * probe.first_steps)
    rounds = round(BLOCK_SECONDS / (seconds * longer * width * devices))
    return Plan(devices, width, max(1, rounds))


def _filling(ensemble: Ensemble) -> float:
    """How much of a device one model fills; from 1 on, others beside it gain nothing."""
    job, data = ensemble.job.bound(ensemble.data), ensemble.data
    recipe, shape = job.learner.recipe, data.train_images.shape[1:]
    batch = min(recipe.batch_size, job.subsets.size)

    def step(images, labels, weights, key):
        state = fitting.init(job.learner, key, images)
        return fitting.train_step(job.learner, state, images, labels, weights, key)

    seen = view_shape(shape, recipe.train_size)
    program = jax.jit(step).lower(
        jax.ShapeDtypeStruct((batch, *seen), data.train_images.dtype),
        jax.ShapeDtypeStruct((batch,), jnp.int32),
        jax.ShapeDtypeStruct((batch,), jnp.float32),
        jax.random.key(0),
    )
    cost = program.cost_analysis() or {}
    return cost.get("flops", 0) / FILLS.get(_platform(ensemble), FILLS["gpu"])


def _platform(ensemble: Ensemble) -> str:
    return ensemble.mesh.devices.flat[0].platform


def _narrowest(ensemble: Ensemble) -> int:
    """The width to begin with: each that is timed has to be compiled."""
    if _platform(ensemble) == "cpu":
        return 1
    of_one = _filling(ensemble)
    if not of_one:  # the compiler does not say
        return 1
    return GROWTH ** max(0, int(math.log(1 / (FILLING * of_one), GROWTH)))


def _probe_job(job: Job) -> Job:
    """The same training, cut to about PROBE_STEPS steps."""
    recipe, steps = job.learner.recipe, min(job.learner.steps, PROBE_STEPS)
    epochs = min(recipe.epochs, PROBE_STEPS // steps)
    recipe = dataclasses.replace(recipe, epochs=epochs)
    return job._replace(first_steps=steps, learner=job.learner._replace(recipe=recipe))


def _fastest(ensemble: Ensemble, probe: Job, states: TrainState) -> tuple[int, float]:
    """(width, seconds a model).

    Widths grow until one does not clearly beat the one before it, or memory is short. Since
    machines are noisy, a width is timed in turns with the best so far.
    """
    best = _narrowest(ensemble)
    while True:
        try:
            best_timer = _timer(ensemble, probe, states, best)
            best_seconds = best_timer()
            break
        except jax.errors.JaxRuntimeError as error:
            if best == 1 or not out_of_memory(error):
                raise
            best //= GROWTH
    with progress("timing ensemble widths:", None, "timed") as bar:
        while True:
            width = best * GROWTH
            bar.update()
            try:
                timer = _timer(ensemble, probe, states, width)
                turns = [(best_timer(), timer()) for _ in range(TURNS)]
            except jax.errors.JaxRuntimeError as error:
                if out_of_memory(error):
                    return best, best_seconds
                raise
            best_seconds = min(best_seconds, *(before for before, _ in turns))
            seconds = min(now for _, now in turns)
            if seconds * WIDER_MUST_GAIN > best_seconds:
                return best, best_seconds
            best, best_timer, best_seconds = width, timer, seconds


def _timer(
    ensemble: Ensemble, probe: Job, states: TrainState, width: int
) -> Callable[[], float]:
    """Compile for this width; each call then returns seconds a model.

    states: of one model on each device. Copies of them serve all that are beside it: to
    initialise many is a program that takes its time to compile.
    """
    programs = ensemble.programs(width, probe)
    trials = ensemble.place(np.arange(ensemble.mesh.size * width, dtype=np.int32))
    last = probe.learner.recipe.epochs * probe.steps
    initial = ensemble.place(_repeated(states, width))

    def train() -> float:
        states = jax.block_until_ready(jax.tree.map(jnp.copy, initial))
        start = time.perf_counter()
        states = programs.advance(trials, states, 0, last)
        jax.block_until_ready(states)
        return time.perf_counter() - start

    train()

    def seconds_per_model() -> float:
        spent, calls = 0.0, 0
        while spent < PROBE_SECONDS:
            spent += train()
            calls += 1
        return spent / (calls * trials.size)

    return seconds_per_model


@functools.partial(jax.jit, static_argnums=1)
def _repeated(states: TrainState, width: int) -> TrainState:
    return jax.tree.map(lambda a: jnp.repeat(a, width, axis=0), states)
