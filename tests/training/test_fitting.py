import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmem import MODELS, run_trials
from jaxmem.models import Spec, from_linen, make_model
from jaxmem.training import fitting
from jaxmem.training.fitting import Learner
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import Arrays, make_job
from jaxmem.training.keys import Purpose, root_key, trial_key
from jaxmem.training.optimizers import make_optimizer
from jaxmem.training.recipes import RECIPES
from jaxmem.training.subsets import SubsetRule, draw_subset, inclusion_mask
from jaxmem.training.trial import advance_trial, init_trial, scale_trial

SUBSET = 40


def make(data, batching="packed", **recipe):
    recipe = {"epochs": 3, "batch_size": 16, "hidden": (6,), "standardize": False, **recipe}
    recipe = Recipe(**recipe)
    model = make_model("mlp", Spec(data.num_classes, recipe.hidden))
    job = make_job(
        model,
        recipe,
        batching,
        SubsetRule(data.train.labels.size, SUBSET),
        data.num_classes,
    )
    return job, Arrays.of(data)


def train(job, arrays, trial=2):
    root = root_key(0)

    @jax.jit
    def run(arrays, trial):
        state = init_trial(job, arrays, root, trial)
        if job.learner.recipe.standardize:
            state = state._replace(scaling=scale_trial(job, arrays, root, trial))
        return advance_trial(job, arrays, root, trial, state, 0, job.learner.recipe.epochs)

    n = arrays.train_labels.size
    mask = inclusion_mask(draw_subset(root, trial, n, job.subsets.size), n)
    return jax.tree.map(np.asarray, run(arrays, trial)), np.asarray(mask)


@pytest.mark.parametrize("batching", ["packed", "masked"])
@pytest.mark.parametrize("garbage", [np.nan, 1e30])
@pytest.mark.parametrize("standardize", [False, True])
def test_poisoned_excluded_examples_leave_no_trace(tiny, batching, garbage, standardize):
    images = (tiny.train.images / 255).astype(np.float32)
    tiny = tiny._replace(
        train=tiny.train._replace(images=images),
        test=tiny.test._replace(images=images[:9]),
    )
    job, arrays = make(tiny, batching, standardize=standardize)
    clean, mask = train(job, arrays)

    def poisoned(rows):
        images, labels = arrays.train_images.copy(), arrays.train_labels.copy()
        images[rows], labels[rows] = garbage, 10**6
        return arrays._replace(train_images=images, train_labels=labels)

    state, _ = train(job, poisoned(~mask))
    jax.tree.map(np.testing.assert_array_equal, clean, state)

    # The test can fail: one included example does leave a trace.
    state, _ = train(job, poisoned(np.nonzero(mask)[0][:1]))
    differ = jax.tree.map(lambda a, b: not np.array_equal(a, b), clean, state)
    assert any(jax.tree.leaves(differ))


class Normalised(nn.Module):
    """A layer that mixes examples, and keeps running statistics as state."""

    num_classes: int

    @nn.compact
    def __call__(self, images, weights):
        x = images.reshape((images.shape[0], -1))
        running = self.variable("batch_stats", "mean", jnp.zeros, x.shape[1:])
        if weights is None:
            mean = running.value
        else:
            mean = weights @ x / jnp.maximum(jnp.sum(weights), 1)
            running.value = 0.9 * running.value + 0.1 * mean
        return nn.Dense(self.num_classes)(x - mean[None])


def test_own_model_with_state(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(
        MODELS, "own", lambda spec: from_linen(Normalised(spec.num_classes))
    )
    arguments = {"model": "own", "epochs": 3, "batch_size": 16, "width": 2}
    runs = [
        run_trials(tiny, 8, tmp_path / batching, batching=batching, **arguments)
        for batching in ("packed", "masked")
    ]
    assert [run.config.model for run in runs] == ["own", "own"]
    assert all(run.trials.size == 8 for run in runs)

    # The state is the model's own running mean, of its included examples alone.
    recipe = Recipe(epochs=1, batch_size=SUBSET, standardize=False)
    job = make_job(MODELS["own"](Spec(3)), recipe, "packed", SubsetRule(61, SUBSET), 3)
    state, mask = train(job, Arrays.of(tiny))
    expected = 0.1 * tiny.train.images[mask].reshape(SUBSET, -1).mean(axis=0) / 255
    got = state.model_state["batch_stats"]["mean"]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def by_hand(job, arrays, trial):
    """The same training in NumPy, float64, one hidden layer: the textbooks' SGD."""
    root = root_key(0)
    state = init_trial(job, arrays, root, trial)
    weights = [
        np.asarray(state.params[layer][kind], np.float64)
        for layer in ("Dense_0", "Dense_1")
        for kind in ("kernel", "bias")
    ]
    momentum = [np.zeros_like(w) for w in weights]
    n, m, recipe = arrays.train_labels.size, job.subsets.size, job.learner.recipe
    subset = np.asarray(draw_subset(root, trial, n, m))
    classes = weights[-1].size
    step, total = 0, recipe.epochs * job.learner.steps
    for epoch in range(recipe.epochs):
        key = jax.random.fold_in(trial_key(root, Purpose.SHUFFLE, trial), epoch)
        walk = np.asarray(jax.random.permutation(key, jnp.asarray(subset)))
        for rows in np.array_split(walk, job.learner.steps):
            x = arrays.train_images[rows].reshape(rows.size, -1) / 255.0
            w1, b1, w2, b2 = weights
            hidden = np.maximum(x @ w1 + b1, 0)
            logits = hidden @ w2 + b2
            p = np.exp(logits - logits.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            target = np.eye(classes)[arrays.train_labels[rows]]
            target += recipe.label_smoothing * (1 / classes - target)
            d2 = (p - target) / rows.size
            d1 = (d2 @ w2.T) * (hidden > 0)
            grads = [x.T @ d1, d1.sum(0), hidden.T @ d2, d2.sum(0)]
            rate, warmup = recipe.learning_rate, round(recipe.warmup * job.learner.steps)
            if step < warmup:
                rate *= (step + 1) / (warmup + 1)
            elif recipe.schedule == "linear":
                rate *= 1 - (step - warmup) / (total - warmup)
            for w, v, g in zip(weights, momentum, grads, strict=True):
                g = g + recipe.weight_decay * w if w.ndim > 1 else g
                v[:] = recipe.momentum * v + g
                nesterov = recipe.optimizer == "nesterov"
                w -= rate * (g + recipe.momentum * v if nesterov else v)
            step += 1
    return weights


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"momentum": 0.0, "learning_rate": 0.3},
        {"schedule": "linear", "label_smoothing": 0.2},
        {"schedule": "linear", "warmup": 1.4, "weight_decay": 0.01},
        {"optimizer": "nesterov", "warmup": 0.5},
    ],
)
def test_training_is_the_textbooks_sgd(tiny, recipe):
    job, arrays = make(tiny, **recipe)
    state, _ = train(job, arrays)
    ours = [
        state.params[layer][kind]
        for layer in ("Dense_0", "Dense_1")
        for kind in ("kernel", "bias")
    ]
    for mine, reference in zip(ours, by_hand(job, arrays, trial=2), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-5)


def test_a_step_without_examples_changes_nothing(tiny):
    """Neither momentum, nor decay, nor the schedule."""
    job, arrays = make(tiny, warmup=2.0, weight_decay=0.1)
    state, _ = train(job, arrays)
    rows = arrays.train_images[:4], arrays.train_labels[:4]

    def step(weights):
        weights = np.array(weights, np.float32)
        return fitting.train_step(job.learner, state, *rows, weights)[0]

    jax.tree.map(np.testing.assert_array_equal, state, step([0, 0, 0, 0]))
    changed = step([0, 1, 0, 0])
    kernels = [s.params["Dense_0"]["kernel"] for s in (state, changed)]
    assert not np.array_equal(*kernels)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adamw"])
def test_the_first_step_of_a_warm_up_moves(tiny, optimizer):
    job, _ = make(tiny, optimizer=optimizer, warmup=1.0)
    made = make_optimizer(job.learner.recipe, job.learner.steps)
    params = {"kernel": np.ones((2, 2), np.float32)}
    updates, _ = made.update(params, made.init(params), params)
    assert np.all(np.asarray(updates["kernel"]) < 0)


@pytest.mark.parametrize("rows", [1, 999, 1000, 1001, 2500])
def test_predict_is_the_same_in_chunks(rows):
    model = make_model("mlp", Spec(4, (5,)))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (rows, 3, 3, 1), np.uint8)
    labels = rng.integers(0, 4, rows).astype(np.int32)
    state = fitting.init(Learner(model, Recipe(), 1), jax.random.key(0), images)
    got = fitting.predict(model, state, images, labels)
    logits, _ = model.apply(state.params, state.model_state, images / np.float32(255), None)
    np.testing.assert_array_equal(got.correct, np.argmax(logits, axis=1) == labels)
    log_p = jax.nn.log_softmax(logits)
    np.testing.assert_allclose(got.loss, -log_p[np.arange(rows), labels], rtol=1e-5)
    assert bool(got.finite)


def test_predict_notices_what_is_not_finite():
    model = make_model("linear", Spec(4))
    images, labels = np.ones((3, 2, 2, 1), np.float32), np.zeros(3, np.int32)
    state = fitting.init(Learner(model, Recipe(), 1), jax.random.key(0), images)
    broken = jax.tree.map(lambda a: a * np.nan, state.params)
    assert not fitting.predict(model, state._replace(params=broken), images, labels).finite


def test_digits_recipe_fits_and_generalises(digits):
    recipe = RECIPES["digits", "mlp"]
    model = make_model("mlp", Spec(10, recipe.hidden))
    job = make_job(model, recipe, "packed", SubsetRule(1437, 1006), 10)
    state, mask = train(job, Arrays.of(digits))
    fitted = fitting.predict(job.learner.model, state, *digits.train[:2]).correct
    assert np.asarray(fitted)[mask].mean() >= 0.999
    assert (
        np.mean(fitting.predict(job.learner.model, state, *digits.test[:2]).correct)
        >= 0.965
    )
