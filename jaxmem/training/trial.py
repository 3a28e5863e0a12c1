"""ONE trial: its subset, its training, its outcomes. `ensemble` runs many of them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.models import Model
from jaxmem.models.contract import PyTree
from jaxmem.training import fitting
from jaxmem.training.augmentation import augments, draw_views
from jaxmem.training.batches import (
    Batches,
    Batching,
    epoch_batches,
    epoch_key,
    layer_keys,
    steps_per_epoch,
)
from jaxmem.training.dynamics import Dynamics, add_seen, no_dynamics
from jaxmem.training.fitting import Learner, Predictions, TrainState
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.inputs import Scaling, measure
from jaxmem.training.keys import Purpose, trial_key
from jaxmem.training.outcomes import DYNAMICS, Evaluation, Outcomes, outcomes_of
from jaxmem.training.subsets import Subset, SubsetRule


class Job(NamedTuple):
    """What a trial computes, apart from the data and the root key."""

    learner: Learner
    batching: Batching
    subsets: SubsetRule
    num_classes: int
    quantities: tuple[str, ...]  # of `outcomes.QUANTITIES`
    first_steps: int | None = None  # of each epoch, to time them; None: all
    queries: tuple[str, ...] = ()  # of `queries.QUERIES`, about the training examples

    @property
    def steps(self) -> int:
        """How many an epoch has."""
        return min(self.learner.steps, self.first_steps or self.learner.steps)

    @property
    def probabilities(self) -> bool:
        """Whether class probabilities are wanted."""
        return "held_out_probability" in self.quantities

    @property
    def dynamics(self) -> bool:
        """Whether what training shows of each example is wanted."""
        return not DYNAMICS.isdisjoint(self.quantities)

    def bound(self, data: "Arrays") -> "Job":
        """With the parameters that all trials share, as they lie on the devices."""
        shared = self.learner.model.shared
        if shared is None:
            return self
        model = shared.bind(data.shared)
        return self._replace(learner=self.learner._replace(model=model))


class Arrays(NamedTuple):
    """The part of a Dataset that lies on the devices.

    Where images stay on the host, the first one alone is here, for its shape.
    """

    train_images: jax.Array  # [N, H, W, C], uint8 or float32
    train_labels: jax.Array  # int32 [N]
    test_images: jax.Array  # [E, H, W, C]
    test_labels: jax.Array  # int32 [E]
    masks: jax.Array | None = None  # bits of given subsets, uint8 [T, ceil(N / 8)]
    shared: PyTree = None  # frozen parameters

    @classmethod
    def of(
        cls, data: Dataset, masks: np.ndarray | None = None, with_images: bool = True
    ) -> "Arrays":
        """The arrays of a dataset, still in NumPy."""
        train, test = data.train, data.test
        rows = slice(None) if with_images else slice(1)
        images = train.images[rows], test.images[rows]
        arrays = images[0], train.labels, images[1], test.labels, masks
        return cls(*arrays)  # type: ignore[arg-type]  # JAX's once they are on devices


def make_job(
    model: Model,
    recipe: Recipe,
    batching: Batching,
    subsets: SubsetRule,
    num_classes: int,
    quantities: tuple[str, ...] = (),
    queries: tuple[str, ...] = (),
) -> Job:
    """The job of training a model on subsets.

    Raises InputError if a batch is larger than the subset, or the warm-up the training.
    """
    if recipe.batch_size > subsets.size:
        raise InputError(
            f"batch size {recipe.batch_size} is larger than the subset of {subsets.size} "
            f"examples; give --batch-size={subsets.size} or less"
        )
    steps = steps_per_epoch(batching, subsets.n, subsets.size, recipe.batch_size)
    if recipe.warmup_steps(steps) >= recipe.epochs * steps:
        raise InputError(
            f"warmup {recipe.warmup:g} is all of the {recipe.epochs * steps} steps of "
            f"{recipe.epochs} epochs; give a shorter --warmup, or more --epochs"
        )
    learner = Learner(model, recipe, steps)
    return Job(learner, batching, subsets, num_classes, quantities, queries=queries)


def init_trial(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> TrainState:
    """The initial state of ONE trial."""
    key = trial_key(root, Purpose.INIT, trial)
    state = fitting.init(job.learner, key, data.train_images)
    if not job.dynamics:
        return state
    return state._replace(dynamics=no_dynamics(data.train_labels.size))


def scale_trial(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> Scaling:
    """The scaling of the inputs that ONE trial sees."""
    subset, mask = job.subsets.draw(root, trial, data.masks)
    return measure(data.train_images, mask, subset.count)


def init_and_scale(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> TrainState:
    """ONE trial before its first step."""
    state = init_trial(job, data, root, trial)
    if not job.learner.recipe.standardize:
        return state
    return state._replace(scaling=scale_trial(job, data, root, trial))


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
    subset = job.subsets.draw(root, trial, data.masks)
    # Flat: a TPU pads each image [H, W, C] to tiles, and then gathers many times the bytes.
    n, *shape = data.train_images.shape
    flat = data.train_images.reshape(n, -1)

    def read(batch: Batches) -> tuple[jax.Array, jax.Array]:
        images = flat[batch.index].reshape(-1, *shape)
        return images, data.train_labels[batch.index]

    # The epochs are arguments of the compiled program, so that a training in parts is the
    # same program, and gives the same bits, as one in a single call.
    def train_epoch(epoch: jax.Array, state: TrainState) -> TrainState:
        batches = draw_batches(job, data, root, trial, subset, epoch)
        return fit_batches(job, state, read, batches, batches.index)

    return jax.lax.fori_loop(first, last, train_epoch, state)


def fit_batches(
    job: Job,
    state: TrainState,
    read: Callable[[Batches], tuple[jax.Array, jax.Array]],
    batches: Batches,
    rows: jax.Array,
) -> TrainState:
    """Train ONE trial on some steps of an epoch, whose examples are rows int32 [S, B]."""
    state, seen = fitting.fit(job.learner, state, read, batches)
    if state.dynamics is None or seen is None:
        return state
    dynamics = add_seen(state.dynamics, rows, batches.weight, seen)
    return state._replace(dynamics=dynamics)


def draw_batches(
    job: Job,
    data: Arrays,
    root: jax.Array,
    trial: jax.Array,
    subset: tuple[Subset, jax.Array],
    epoch: jax.Array,
) -> Batches:
    """One epoch of ONE trial, of what `SubsetRule.draw` gave for it."""
    recipe, steps = job.learner.recipe, job.learner.steps
    batches = epoch_batches(job.batching, root, trial, epoch, *subset, steps)
    if augments(recipe):
        purposes = Purpose.AUGMENTATION, Purpose.SHARED_AUGMENTATION
        key = epoch_key(job.batching, root, trial, epoch, *purposes)
        shape = data.train_images.shape[1:]
        views = draw_views(key, batches.index.shape, shape, recipe)
        batches = batches._replace(views=views)
    if job.learner.model.random:
        batches = batches._replace(key=layer_keys(root, trial, epoch, steps))
    return jax.tree.map(lambda a: a[: job.first_steps], batches)


def evaluate_trial(
    job: Job, data: Arrays, root: jax.Array, trial: jax.Array, state: TrainState
) -> Outcomes:
    """What ONE trained trial says of all examples."""

    def predict(images, labels, *asked):
        return fitting.predict(job.learner.model, state, images, labels, *asked)

    asked = job.probabilities, job.queries
    train = predict(data.train_images, data.train_labels, *asked)
    test = predict(data.test_images, data.test_labels)
    return conclude_trial(job, data, root, trial, state.dynamics, train, test)


def conclude_trial(
    job: Job,
    data: Arrays,
    root: jax.Array,
    trial: jax.Array,
    dynamics: Dynamics | None,
    train: Predictions,
    test: Predictions,
) -> Outcomes:
    """What is kept of what ONE trial says of all examples."""
    subset, mask = job.subsets.draw(root, trial, data.masks)
    evaluation = Evaluation(
        train=train,
        test=test,
        mask=mask,
        count=subset.count,
        num_classes=job.num_classes,
        most_excluded=job.subsets.most_excluded,
        dynamics=dynamics,
        epochs=job.learner.recipe.epochs,
    )
    return outcomes_of(evaluation, job.quantities)
