"""MANY models: `vmap` over trials, `shard_map` over devices; the one place with a mesh.

A block is one call of one compiled program: on each device, `rounds` times one after
another, `width` models side by side are drawn, trained and evaluated. Parameters are
initialised outside `shard_map` and enter it sharded over trials: inside, zero biases would
be typed as replicated and their gradients summed over devices.
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxmem import subsets, training
from jaxmem.batches import Batching, epoch_batches, steps_per_epoch
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.keys import Purpose, trial_key
from jaxmem.models import Model
from jaxmem.recipes import Recipe
from jaxmem.training import TrainState

AXIS = "trials"


class Job(NamedTuple):
    """What a trial computes, apart from the data and the root key."""

    model: Model
    recipe: Recipe
    batching: Batching
    subset_size: int  # m
    steps: int  # per epoch


class Arrays(NamedTuple):
    """The part of a Dataset that lies on the devices."""

    train_images: jax.Array  # [N, H, W, C], uint8 or float32
    train_labels: jax.Array  # int32 [N]
    test_images: jax.Array  # [E, H, W, C]
    test_labels: jax.Array  # int32 [E]


class Plan(NamedTuple):
    """How trials are laid out on this machine. Changes speed, and rounding at most."""

    devices: int
    width: int  # models side by side on one device
    rounds: int  # such ensembles one after another in one block, at most


class Outcomes(NamedTuple):
    """What M trials left behind. Bits are packed along examples, the first one highest."""

    included: jax.Array  # uint8 [M, ceil(N / 8)]
    train_correct: jax.Array  # uint8 [M, ceil(N / 8)]
    test_correct: jax.Array  # uint8 [M, ceil(E / 8)]
    train_accuracy: jax.Array  # float32 [M], over the included examples
    test_accuracy: jax.Array  # float32 [M]
    final_loss: jax.Array  # float32 [M], mean cross-entropy of the included, nats
    diverged: jax.Array  # bool [M]: a loss or a logit is not finite


def make_job(
    model: Model, recipe: Recipe, batching: Batching, n: int, subset_size: int
) -> Job:
    """The job of training on subsets of n examples.

    Raises InputError if a batch is larger than the subset.
    """
    if recipe.batch_size > subset_size:
        raise InputError(
            f"batch size {recipe.batch_size} is larger than the subset of {subset_size} "
            f"examples; give --batch-size={subset_size} or less"
        )
    steps = steps_per_epoch(batching, n, subset_size, recipe.batch_size)
    return Job(model, recipe, batching, subset_size, steps)


def init_trial(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> TrainState:
    """The initial state of ONE trial."""
    key = trial_key(root, Purpose.INIT, trial)
    return training.init(job.model, _optimizer(job), key, data.train_images)


def train_trial(
    job: Job, data: Arrays, root: jax.Array, trial: jax.Array, state: TrainState
) -> tuple[TrainState, jax.Array]:
    """Train ONE trial; returns its final state and inclusion mask, bool [N]."""
    n = data.train_labels.size
    subset = subsets.draw_subset(root, trial, n, job.subset_size)
    mask = subsets.inclusion_mask(subset, n)

    def batches_of(epoch):
        size = job.recipe.batch_size
        batches = epoch_batches(job.batching, root, trial, epoch, subset, mask, size)
        return jax.tree.map(lambda a: a[: job.steps], batches)

    state = training.fit(
        job.model,
        _optimizer(job),
        job.recipe.label_smoothing,
        state,
        data.train_images,
        data.train_labels,
        batches_of,
        job.recipe.epochs,
    )
    return state, mask


def run_trial(
    job: Job, data: Arrays, root: jax.Array, trial: jax.Array, state: TrainState
) -> Outcomes:
    """Train and evaluate ONE trial."""
    state, mask = train_trial(job, data, root, trial, state)
    train = training.predict(job.model, state, data.train_images, data.train_labels)
    test = training.predict(job.model, state, data.test_images, data.test_labels)
    loss = jnp.sum(train.loss, where=mask) / job.subset_size
    return Outcomes(
        included=jnp.packbits(mask),
        train_correct=jnp.packbits(train.correct),
        test_correct=jnp.packbits(test.correct),
        train_accuracy=jnp.sum(train.correct & mask) / job.subset_size,
        test_accuracy=jnp.mean(test.correct, dtype=jnp.float32),
        final_loss=loss,
        diverged=~(train.finite & test.finite & jnp.isfinite(loss)),
    )


def _optimizer(job: Job) -> optax.GradientTransformation:
    return training.make_optimizer(job.recipe, job.recipe.epochs * job.steps)


def over_trials(one: Callable, job: Job, mesh: Mesh, width: int) -> Callable:
    """Lift one(job, data, root, trial, state) to a compiled f(data, root, trials [M]).

    M is a multiple of the mesh's devices times width. Every output gains a leading M.
    """

    def local(data, root, trials, states):
        def each(args):
            return one(job, data, root, *args)

        # One model alone is faster than a vmap of width 1: its products have no batch axis.
        return jax.lax.map(each, (trials, states), batch_size=width if width > 1 else None)

    many, everywhere = PartitionSpec(AXIS), PartitionSpec()
    sharded = jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(everywhere, everywhere, many, many),
        out_specs=many,
    )

    @jax.jit
    def program(data, root, trials):
        states = jax.vmap(functools.partial(init_trial, job, data, root))(trials)
        return sharded(data, root, trials, states)

    return program


def use_all_cores() -> None:
    """Make each CPU core a device, so that small models train side by side.

    No effect on GPUs and TPUs, once JAX has started, and where the user has said how many.
    """
    said = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if said or jax.config.jax_num_cpu_devices != -1:
        return
    try:
        jax.config.update("jax_num_cpu_devices", _cores())
    except RuntimeError:
        pass  # JAX has started: we use what it has


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hardware() -> str:
    """What a plan, and the rounding of results, depend on."""
    devices = jax.local_devices()
    return f"{len(devices)} x {devices[0].device_kind}, jax {jax.__version__}"


class Ensemble(NamedTuple):
    """A job, with its data on every local device."""

    job: Job
    mesh: Mesh
    data: Arrays
    root: jax.Array

    def program(
        self, width: int, one: Callable = run_trial, job: Job | None = None
    ) -> Callable[[Sequence[int]], Outcomes]:
        """f(trials) → Outcomes on the devices, returned before they are computed."""
        compiled = over_trials(one, job or self.job, self.mesh, width)
        by_trial = NamedSharding(self.mesh, PartitionSpec(AXIS))

        def call(trials):
            placed = jax.device_put(np.asarray(trials, np.int32), by_trial)
            return compiled(self.data, self.root, placed)

        return call


def make_ensemble(job: Job, data: Dataset, root: jax.Array) -> Ensemble:
    """Place the data on all local devices, as one mesh."""
    devices = jax.local_devices()
    mesh = jax.make_mesh((len(devices),), (AXIS,), (AxisType.Auto,), devices=devices)
    arrays = Arrays(*data.train[:2], *data.test[:2])
    everywhere = NamedSharding(mesh, PartitionSpec())
    return Ensemble(job, mesh, *jax.device_put((arrays, root), everywhere))


def run_blocks(
    ensemble: Ensemble, plan: Plan, trials: Sequence[int]
) -> Iterator[tuple[list[int], Outcomes]]:
    """Run the trials block by block; yields (their numbers, their Outcomes in NumPy).

    While one block is being used, the next is already being computed.
    """
    program = ensemble.program(plan.width)
    side_by_side = plan.devices * plan.width
    size = side_by_side * min(plan.rounds, -(-len(trials) // side_by_side))
    pending = None
    for start in range(0, len(trials), size):
        block = list(trials[start : start + size])
        # The last block is filled up, so that nothing compiles twice; the rest is cut off.
        dispatched = program(block + [block[-1]] * (size - len(block)))
        if pending is not None:
            yield _fetch(*pending)
        pending = block, dispatched
    if pending is not None:
        yield _fetch(*pending)


def _fetch(block: list[int], outcomes: Outcomes) -> tuple[list[int], Outcomes]:
    return block, jax.tree.map(lambda a: np.asarray(a)[: len(block)], outcomes)


def out_of_memory(error: Exception) -> bool:
    """Whether a device had no room for a program or its results."""
    return "RESOURCE_EXHAUSTED" in str(error)
