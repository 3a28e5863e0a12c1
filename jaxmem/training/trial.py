"""ONE trial: its subset, its training, its outcomes. `ensemble` runs many of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.models import Model
from jaxmem.training import fitting
from jaxmem.training.augmentation import augments, draw_views
from jaxmem.training.batches import (
    Batches,
    Batching,
    epoch_batches,
    epoch_key,
    steps_per_epoch,
)
from jaxmem.training.fitting import Learner, TrainState
from jaxmem.training.inputs import Scaling, measure
from jaxmem.training.keys import Purpose, trial_key
from jaxmem.training.outcomes import Evaluation, Outcomes, outcomes_of
from jaxmem.training.recipes import Recipe
from jaxmem.training.subsets import SubsetRule


class Job(NamedTuple):
    """What a trial computes, apart from the data and the root key."""

    learner: Learner
    batching: Batching
    subsets: SubsetRule
    num_classes: int
    quantities: tuple[str, ...]  # of `outcomes.QUANTITIES`
    first_steps: int | None = None  # of each epoch, to time them; None: all


class Arrays(NamedTuple):
    """The part of a Dataset that lies on the devices."""

    train_images: jax.Array  # [N, H, W, C], uint8 or float32
    train_labels: jax.Array  # int32 [N]
    test_images: jax.Array  # [E, H, W, C]
    test_labels: jax.Array  # int32 [E]
    masks: jax.Array | None = None  # bits of given subsets, uint8 [T, ceil(N / 8)]

    @classmethod
    def of(cls, data: Dataset, masks: np.ndarray | None = None) -> "Arrays":
        """The arrays of a dataset, still in NumPy."""
        train, test = data.train, data.test
        arrays = train.images, train.labels, test.images, test.labels, masks
        return cls(*arrays)  # type: ignore[arg-type]  # JAX's once they are on devices


def make_job(
    model: Model,
    recipe: Recipe,
    batching: Batching,
    subsets: SubsetRule,
    num_classes: int,
    quantities: tuple[str, ...] = (),
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
    return Job(learner, batching, subsets, num_classes, quantities)


def init_trial(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> TrainState:
    """The initial state of ONE trial."""
    key = trial_key(root, Purpose.INIT, trial)
    return fitting.init(job.learner, key, data.train_images)


def scale_trial(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> Scaling:
    """The scaling of the inputs that ONE trial sees."""
    subset, _ = job.subsets.draw(root, trial, data.masks)
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
    subset, mask = job.subsets.draw(root, trial, data.masks)
    recipe, steps = job.learner.recipe, job.learner.steps
    shape = data.train_images.shape[1:]

    def batches_of(epoch: jax.Array) -> Batches:
        batches = epoch_batches(job.batching, root, trial, epoch, subset, mask, steps)
        if augments(recipe):
            purposes = Purpose.AUGMENTATION, Purpose.SHARED_AUGMENTATION
            key = epoch_key(job.batching, root, trial, epoch, *purposes)
            views = draw_views(key, batches.index.shape, shape, recipe)
            batches = batches._replace(views=views)
        return jax.tree.map(lambda a: a[: job.first_steps], batches)

    images, labels = data.train_images, data.train_labels
    return fitting.fit(job.learner, state, images, labels, batches_of, (first, last))


def evaluate_trial(
    job: Job, data: Arrays, root: jax.Array, trial: jax.Array, state: TrainState
) -> Outcomes:
    """What ONE trained trial says of all examples."""
    subset, mask = job.subsets.draw(root, trial, data.masks)

    def predict(images, labels, probabilities=False):
        return fitting.predict(job.learner.model, state, images, labels, probabilities)

    probabilities = "held_out_probability" in job.quantities
    evaluation = Evaluation(
        train=predict(data.train_images, data.train_labels, probabilities),
        test=predict(data.test_images, data.test_labels),
        mask=mask,
        count=subset.count,
        num_classes=job.num_classes,
        most_excluded=job.subsets.most_excluded,
    )
    return outcomes_of(evaluation, job.quantities)
