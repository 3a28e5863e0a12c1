import warnings

import jax
import numpy as np
import pytest

from jaxmem import InputError
from jaxmem.data import make_dataset
from jaxmem.models import Spec, make_model
from jaxmem.training.ensemble import Plan, make_ensemble, run_blocks
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.inputs import to_float
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.subsets import SubsetRule, draw_subset
from jaxmem.training.trial import advance_trial, evaluate_trial, init_trial, scale_trial

TRIALS = range(8)
STORED = ("included", "train_correct", "test_correct", "train_accuracy", "test_accuracy")


def make(data, batching="packed", **recipe):
    recipe = Recipe(**{"epochs": 3, "batch_size": 64, "hidden": (32,), **recipe})
    n = data.train.labels.size
    model = make_model("mlp", Spec(data.num_classes, recipe.hidden))
    job = make_job(
        model, recipe, batching, SubsetRule(n, round(0.7 * n)), data.num_classes, STORED
    )
    return make_ensemble(job, data, root_key(0))


def train(job, data, root, trial, epochs):
    """The final state of one trial."""
    state = init_trial(job, data, root, trial)
    if job.learner.recipe.standardize:
        state = state._replace(scaling=scale_trial(job, data, root, trial))
    return advance_trial(job, data, root, trial, state, 0, epochs)


def params_of(ensemble, width, trials):
    """Final parameters of the trials, as the ensemble trains them."""
    programs = ensemble.programs(width)
    placed = ensemble.place(np.array(trials, np.int32))
    steps = ensemble.job.learner.recipe.epochs * ensemble.job.steps
    return programs.advance(placed, programs.init(placed), 0, steps).params


def outcomes_of(ensemble, trials):
    (block,) = run_blocks(ensemble, Plan(4, 1, 100), trials)
    return block.outcomes


def alone(ensemble, trial, one=train):
    """One trial, with no vmap, no shard_map and one device."""
    job, _, data, root = ensemble[:4]
    host = jax.tree.map(np.asarray, data), jax.random.key_data(root)
    data, root = jax.device_put(host, jax.devices()[0])
    root = jax.random.wrap_key_data(root, impl="threefry2x32")
    run = jax.jit(lambda *args: one(job, *args))
    result = run(data, root, np.int32(trial), job.learner.recipe.epochs)
    return jax.tree.map(np.asarray, result)


@pytest.mark.parametrize("batching", ["packed", "masked"])
def test_trial_is_the_same_alone_and_sharded_over_4_devices(digits, batching):
    """Bit for bit: width 1 runs the very program of one model."""
    ensemble = make(digits, batching)
    assert ensemble.mesh.size == 4
    many = params_of(ensemble, 1, TRIALS)
    for trial in (0, 3, 6):
        one = alone(ensemble, trial).params
        jax.tree.map(
            lambda a, b, k=trial: np.testing.assert_array_equal(a[k], b), many, one
        )


@pytest.mark.parametrize("batching", ["packed", "masked"])
@pytest.mark.parametrize("width", [2, 8])
def test_trial_is_the_same_in_a_vmap(digits, batching, width):
    """To rounding: a batched product may add its terms in another order."""
    ensemble = make(digits, batching)
    trials = range(4 * width)
    many = params_of(ensemble, width, trials)
    for trial in (0, 5, trials[-1]):
        one = alone(ensemble, trial).params
        jax.tree.map(
            lambda a, b, k=trial: np.testing.assert_allclose(a[k], b, rtol=1e-4, atol=1e-5),
            many,
            one,
        )


def test_trial_is_the_same_under_pmap(digits):
    ensemble = make(digits)
    job, _, data, root = ensemble[:4]
    many = params_of(ensemble, 1, range(4))

    def one(data, root, trial):
        return train(job, data, root, trial, job.learner.recipe.epochs).params

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pmap is in maintenance mode, and says so
        host = jax.tree.map(np.asarray, data)
        pmapped = jax.pmap(one, in_axes=(None, None, 0))(host, root, np.arange(4))
    jax.tree.map(np.testing.assert_array_equal, many, pmapped)


def test_outcomes_are_those_of_the_trained_model(tiny):
    ensemble = make(tiny, batch_size=8)
    outcomes = outcomes_of(ensemble, range(4))
    for trial in range(4):
        state = alone(ensemble, trial)
        mask = np.zeros(61, bool)
        mask[draw_subset(ensemble.root, trial, 61, ensemble.job.subsets.size)] = True
        model = ensemble.job.learner.model

        def correct(split, state=state, model=model):
            images = to_float(split.images, state.scaling)
            logits, _ = model.apply(state.params, {}, images, None)
            return np.argmax(logits, axis=1) == split.labels

        def bits(packed, n, k=trial):
            return np.unpackbits(packed[k], count=n).astype(bool)

        np.testing.assert_array_equal(bits(outcomes["included"], 61), mask)
        right = correct(tiny.train)
        np.testing.assert_array_equal(bits(outcomes["train_correct"], 61), right)
        np.testing.assert_array_equal(bits(outcomes["test_correct"], 9), correct(tiny.test))
        np.testing.assert_allclose(
            outcomes["train_accuracy"][trial], right[mask].mean(), 1e-6
        )
        np.testing.assert_allclose(
            outcomes["test_accuracy"][trial], correct(tiny.test).mean(), 1e-6
        )
    assert not outcomes["diverged"].any()


def test_blocks_of_any_size_give_the_same_and_compile_once(tiny):
    ensemble = make(tiny, batch_size=8)
    wanted = [5, 2, 11, 3, 7, 8, 40]

    def collect(plan):
        blocks = list(run_blocks(ensemble, plan, wanted))
        assert [t for block in blocks for t in block.trials] == wanted
        return jax.tree.map(
            lambda *a: np.concatenate(a), *(block.outcomes for block in blocks)
        )

    small = collect(Plan(devices=4, width=1, rounds=1))
    large = collect(Plan(devices=4, width=1, rounds=3))
    jax.tree.map(np.testing.assert_array_equal, small, large)

    # By its number, not by its place: trial 11 alone.
    def evaluate(job, data, root, trial, epochs):
        state = train(job, data, root, trial, epochs)
        return evaluate_trial(job, data, root, trial, state)

    one = alone(ensemble, 11, evaluate)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[2], b), small, one)


def test_divergence_is_marked(tiny):
    ensemble = make(tiny, batch_size=8, learning_rate=1e30)
    assert outcomes_of(ensemble, range(4))["diverged"].all()


def test_batch_larger_than_the_subset(tiny):
    with pytest.raises(InputError, match=r"batch size 64 .* subset of 43"):
        make(tiny)


def test_devices_do_not_disturb_each_other():
    """What XLA runs at the same time on several devices must not share memory.

    With padding that it had moved into a convolution, the fourth model and later ones on
    each of two devices had another gradient for airbench's first bias.
    """
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (128, 32, 32, 1), np.uint8), np.arange(128) % 10
    data = make_dataset("large", images, labels, images[:10], labels[:10])
    recipe = Recipe(epochs=1, batch_size=64, optimizer="nesterov", crop=2)
    model = make_model("airbench", Spec(10, image_shape=(32, 32, 1)))
    job = make_job(model, recipe, "packed", SubsetRule(128, 90), 10, STORED)
    ensemble = make_ensemble(job._replace(first_steps=1), data, root_key(0))
    params = params_of(ensemble, 1, [3] * 6 * ensemble.mesh.size)
    for values in jax.tree.leaves(params):
        values = np.asarray(values)
        np.testing.assert_array_equal(values, np.broadcast_to(values[:1], values.shape))
