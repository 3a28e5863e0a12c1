"""ONE trial: its subset, its training, its outcomes. `ensemble` runs many of them."""

from collections.abc import Callable

import jax

from jaxmem.training import fitting
from jaxmem.training.augmentation import augments, draw_views
from jaxmem.training.batches import (
    Batches,
    epoch_batches,
    epoch_key,
    layer_keys,
)
from jaxmem.training.dynamics import Dynamics, add_seen, no_dynamics
from jaxmem.training.fitting import Predictions, TrainState
from jaxmem.training.inputs import Scaling, measure
from jaxmem.training.job import Arrays, Job
from jaxmem.training.keys import Purpose, trial_key
from jaxmem.training.outcomes import Evaluation, Outcomes, outcomes_of
from jaxmem.training.subsets import Subset


def init_trial(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> TrainState:
    """The initial state of ONE trial."""
    key = trial_key(root, Purpose.INIT, job.drawn_by("init", trial))
    state = fitting.init(job.learner, key, data.train_images)
    if not job.dynamics:
        return state
    return state._replace(dynamics=no_dynamics(data.train_labels.size))


def scale_trial(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> Scaling:
    """The scaling of the inputs that ONE trial sees."""
    subset, mask = job.subsets.draw(root, trial, data.masks, data.groups)
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
    subset = job.subsets.draw(root, trial, data.masks, data.groups)
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
    trial = job.drawn_by("order", trial)
    # Sizes that vary must not change the order either: more masks may follow.
    by_row = "order" in job.fix or job.subsets.most is not None
    batches = epoch_batches(job.batching, root, trial, epoch, *subset, steps, by_row)
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
    subset, mask = job.subsets.draw(root, trial, data.masks, data.groups)
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
