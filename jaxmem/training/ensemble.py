"""MANY models: `vmap` over trials, `shard_map` over devices.

A block is `rounds` times one after another, on each device, `width` models side by side. It
passes through three compiled programs: init, advance by some epochs, evaluate. Parameters
are initialised outside `shard_map` and enter it sharded over trials: inside, zero biases
would be typed as replicated and their gradients summed over devices.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem._shared.devices import AXIS, everywhere, make_mesh
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.models import Model
from jaxmem.models.contract import PyTree
from jaxmem.training import fitting as training
from jaxmem.training import subsets
from jaxmem.training.augmentation import draw_views
from jaxmem.training.batches import Batching, epoch_batches, steps_per_epoch
from jaxmem.training.fitting import TrainState
from jaxmem.training.inputs import Scaling, measure
from jaxmem.training.keys import Purpose, trial_key
from jaxmem.training.recipes import Recipe


class Job(NamedTuple):
    """What a trial computes, apart from the data and the root key."""

    model: Model
    recipe: Recipe
    batching: Batching
    subset_size: int  # m; of bernoulli sampling, about that
    steps: int  # per epoch
    sampling: subsets.Sampling = "uniform"
    fraction: float = math.nan  # the chance to be included, of bernoulli sampling
    margins: bool = False  # whether outcomes have them
    probabilities: bool = False  # and these
    first_steps: int | None = None  # of each epoch, to time them; None: all


class Arrays(NamedTuple):
    """The part of a Dataset that lies on the devices."""

    train_images: jax.Array  # [N, H, W, C], uint8 or float32
    train_labels: jax.Array  # int32 [N]
    test_images: jax.Array  # [E, H, W, C]
    test_labels: jax.Array  # int32 [E]
    masks: jax.Array | None = None  # bits of given subsets, uint8 [T, ceil(N / 8)]


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
    train_margin: jax.Array | None = None  # float16 [M, N], if the job asks for them
    test_margin: jax.Array | None = None  # float16 [M, E]
    held_out_probability: jax.Array | None = None  # float16 [M, N - m, K], likewise


def make_job(
    model: Model, recipe: Recipe, batching: Batching, n: int, subset_size: int
) -> Job:
    """The job of training on subsets of n examples.

    Raises InputError if a batch is larger than the subset, or the warm-up the training.
    """
    if recipe.batch_size > subset_size:
        raise InputError(
            f"batch size {recipe.batch_size} is larger than the subset of {subset_size} "
            f"examples; give --batch-size={subset_size} or less"
        )
    steps = steps_per_epoch(batching, n, subset_size, recipe.batch_size)
    if recipe.warmup_steps(steps) >= recipe.epochs * steps:
        raise InputError(
            f"warmup {recipe.warmup:g} is all of the {recipe.epochs * steps} steps of "
            f"{recipe.epochs} epochs; give a shorter --warmup, or more --epochs"
        )
    return Job(model, recipe, batching, subset_size, steps)


def init_trial(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> TrainState:
    """The initial state of ONE trial."""
    key = trial_key(root, Purpose.INIT, trial)
    return training.init(job.model, _optimizer(job), key, data.train_images)


def scale_trial(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> Scaling:
    """The scaling of the inputs that ONE trial sees."""
    subset, _ = _subset(job, data, root, trial)
    if isinstance(subset.count, int):  # else it is sorted: sums go by what is in it alone
        subset = subset._replace(index=jnp.sort(subset.index))
    return measure(data.train_images, subset)


def advance_trial(
    job: Job,
    data: Arrays,
    root: jax.Array,
    trial: jax.Array,
    state: TrainState,
    first: jax.Array,
    last: jax.Array,
) -> TrainState:
    """Train ONE trial for the epochs first … last - 1."""
    subset, mask = _subset(job, data, root, trial)
    recipe = job.recipe

    def batches_of(epoch):
        batches = epoch_batches(job.batching, root, trial, epoch, subset, mask, job.steps)
        views = None
        if recipe.crop or recipe.mirror:
            shape = batches.index.shape
            views = draw_views(
                job.batching, root, trial, epoch, shape, recipe.crop, recipe.mirror
            )
        return jax.tree.map(lambda a: a[: job.first_steps], (batches, views))

    return training.fit(
        job.model,
        _optimizer(job),
        recipe,
        state,
        data.train_images,
        data.train_labels,
        batches_of,
        first,
        last,
    )


def evaluate_trial(
    job: Job, data: Arrays, root: jax.Array, trial: jax.Array, state: TrainState
) -> Outcomes:
    """What ONE trained trial says of all examples."""
    subset, mask = _subset(job, data, root, trial)
    count = jnp.maximum(subset.count, 1)
    train = training.predict(
        job.model, state, data.train_images, data.train_labels, job.probabilities
    )
    test = training.predict(job.model, state, data.test_images, data.test_labels)
    loss = jnp.sum(train.loss, where=mask) / count
    held_out = None
    if job.probabilities:
        held_out = _held_out(train.probability, mask, most_held_out(job, mask.size))
    fitted = jnp.sum(train.correct & mask, dtype=jnp.int32)
    return Outcomes(
        included=jnp.packbits(mask),
        train_correct=jnp.packbits(train.correct),
        test_correct=jnp.packbits(test.correct),
        # NaN for a trial that saw nothing
        train_accuracy=fitted.astype(jnp.float32) / subset.count,
        test_accuracy=jnp.mean(test.correct, dtype=jnp.float32),
        final_loss=loss,
        diverged=~(train.finite & test.finite & jnp.isfinite(loss)),
        train_margin=_float16(train.margin) if job.margins else None,
        test_margin=_float16(test.margin) if job.margins else None,
        held_out_probability=held_out,
    )


def most_held_out(job: Job, n: int) -> int:
    """How many of n examples' probabilities a trial stores, at most."""
    if job.sampling == "bernoulli":
        return subsets.most_drawn(n, 1 - job.fraction)
    return n - job.subset_size


def _held_out(probability: jax.Array, mask: jax.Array, most: int) -> jax.Array:
    """Probabilities [N, K] of the excluded, in the order of rows: float16 [most, K].

    NaN beyond their number.
    """
    (excluded,) = jnp.nonzero(~mask, size=most, fill_value=mask.size)
    held_out = probability.at[excluded].get(mode="fill", fill_value=jnp.nan)
    return held_out.astype(jnp.float16)


def _float16(values: jax.Array) -> jax.Array:
    """To float16, whose largest number stands for all larger ones."""
    most = float(jnp.finfo(jnp.float16).max)
    return jnp.clip(values, -most, most).astype(jnp.float16)


def _subset(
    job: Job, data: Arrays, root: jax.Array, trial: jax.Array
) -> tuple[subsets.Subset, jax.Array]:
    """What ONE trial sees, and the same as a mask, bool [N]."""
    n, m = data.train_labels.size, job.subset_size
    if job.sampling == "bernoulli":
        subset = subsets.draw_bernoulli(root, trial, n, job.fraction)
        mask = subsets.inclusion_mask(subset.index, n)
        return subset, mask & (subset.count > 0)
    if data.masks is not None:
        index = subsets.given_subset(data.masks, trial, n, m)
    elif job.sampling == "balanced":
        index = subsets.draw_balanced(root, trial, n, m)
    else:
        index = subsets.draw_subset(root, trial, n, m)
    return subsets.Subset(index, m), subsets.inclusion_mask(index, n)


def _optimizer(job: Job) -> optax.GradientTransformation:
    return training.make_optimizer(job.recipe, job.steps)


class Programs(NamedTuple):
    """Compiled for M trials at a time; every state and outcome has a leading M.

    M is a multiple of the devices times the width. Calls return before they are computed.
    """

    init: Callable[[jax.Array], TrainState]  # (trials)
    advance: Callable[..., TrainState]  # (trials, states, first, last); states are consumed
    evaluate: Callable[[jax.Array, TrainState], Outcomes]  # (trials, states)


def over_trials(job: Job, mesh: Mesh, width: int) -> Programs:
    """Lift the functions of ONE trial; each takes (data, root) first."""

    def lift(one, *bounds_specs):
        def local(data, root, trials, states, *bounds):
            def each(args):
                return one(job, data, root, *args, *bounds)

            # One model alone is faster than a vmap of width 1: its products have no batch
            # axis.
            batch_size = width if width > 1 else None
            return jax.lax.map(each, (trials, states), batch_size=batch_size)

        return jax.shard_map(
            local,
            mesh=mesh,
            in_specs=(shared, shared, many, many, *bounds_specs),
            out_specs=many,
            # Devices share nothing and no gradient crosses shard_map; custom rules (the
            # convolution's) cannot follow its types of what varies over devices.
            check_vma=False,
        )

    many, shared = PartitionSpec(AXIS), PartitionSpec()
    spread = NamedSharding(mesh, many)

    @functools.partial(jax.jit, out_shardings=spread)
    def init_all(data, root, trials):
        return jax.vmap(functools.partial(init_trial, job, data, root))(trials)

    def scale(job, data, root, trial, _):
        return scale_trial(job, data, root, trial)

    scale_all = jax.jit(lift(scale))

    def init_and_scale(data, root, trials):
        # One after another: together they would hold their images together.
        scaling = scale_all(data, root, trials, trials)
        return init_all(data, root, trials)._replace(scaling=scaling)

    return Programs(
        init_and_scale if job.recipe.standardize else init_all,
        jax.jit(lift(advance_trial, shared, shared), donate_argnums=3),
        jax.jit(lift(evaluate_trial)),
    )


class Ensemble(NamedTuple):
    """A job, with its data on every local device."""

    job: Job
    mesh: Mesh
    data: Arrays
    root: jax.Array

    def programs(self, width: int, job: Job | None = None) -> Programs:
        """The compiled programs, with data and root key filled in."""
        lifted = over_trials(job or self.job, self.mesh, width)
        return Programs(*(functools.partial(f, self.data, self.root) for f in lifted))

    def place(self, values: PyTree) -> PyTree:
        """Arrays with a leading axis of trials, spread over the devices."""
        return jax.device_put(values, NamedSharding(self.mesh, PartitionSpec(AXIS)))


def make_ensemble(
    job: Job, data: Dataset, root: jax.Array, masks: np.ndarray | None = None
) -> Ensemble:
    """Place the data on all local devices, as one mesh.

    masks: bits of the trials' subsets, uint8 [T, ceil(N / 8)]; None draws them.
    """
    mesh = make_mesh()
    arrays = Arrays(*data.train[:2], *data.test[:2], masks)
    return Ensemble(job, mesh, *everywhere((arrays, root), mesh))


class Block(NamedTuple):
    """Some finished trials."""

    trials: list[int]
    outcomes: Outcomes  # in NumPy
    states: TrainState  # on the devices, as many as were trained: at least as many


class InFlight(Protocol):
    """Where a block in training is kept, so that a crash loses only some epochs."""

    def load(self, trials: np.ndarray, like: TrainState) -> tuple[int, TrainState] | None:
        """(epochs done, states) of these very trials, or None."""

    def epoch_done(self, trials: np.ndarray, epoch: int, states: TrainState) -> None:
        """Called after each epoch with how many are done; keeps what it finds time for."""


def run_blocks(
    ensemble: Ensemble,
    plan: Plan,
    trials: Sequence[int],
    in_flight: InFlight | None = None,
) -> Iterator[Block]:
    """Run the trials block by block.

    While one block is being used, the next is already being computed. With in_flight,
    blocks of one round are trained epoch by epoch, and can be taken up where they were.
    """
    programs = ensemble.programs(plan.width)
    side_by_side = plan.devices * plan.width
    size = side_by_side * min(plan.rounds, -(-len(trials) // side_by_side))
    pending = None
    for start in range(0, len(trials), size):
        block = list(trials[start : start + size])
        # The last block is filled up, so that nothing compiles twice; the rest is cut off.
        numbers = np.array(block + [block[-1]] * (size - len(block)), np.int32)
        placed = ensemble.place(numbers)
        if in_flight is None or plan.rounds > 1:
            states = programs.init(placed)
            states = programs.advance(placed, states, 0, ensemble.job.recipe.epochs)
        else:
            states = _by_epoch(ensemble, programs, numbers, in_flight)
        dispatched = Block(block, programs.evaluate(placed, states), states)
        if pending is not None:
            yield _fetch(pending)
        pending = dispatched
    if pending is not None:
        yield _fetch(pending)


def _by_epoch(
    ensemble: Ensemble, programs: Programs, numbers: np.ndarray, in_flight: InFlight
) -> TrainState:
    placed = ensemble.place(numbers)
    like = jax.eval_shape(programs.init, placed)
    kept = in_flight.load(numbers, like)
    done, states = kept if kept else (0, programs.init(placed))
    states = ensemble.place(states)
    for epoch in range(done, ensemble.job.recipe.epochs):
        states = programs.advance(placed, states, epoch, epoch + 1)
        jax.block_until_ready(states)
        in_flight.epoch_done(numbers, epoch + 1, states)
    return states


def _fetch(block: Block) -> Block:
    outcomes = jax.tree.map(lambda a: np.asarray(a)[: len(block.trials)], block.outcomes)
    return block._replace(outcomes=outcomes)
