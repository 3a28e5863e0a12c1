"""ONE model: init, fit, predict. Knows no ensemble, no mesh, no disk."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxmem.batches import Batches
from jaxmem.models.contract import Model, PyTree
from jaxmem.recipes import Recipe

# Rows per evaluation step: large enough for the matrix units, small enough for caches.
EVAL_BATCH = 1000


class TrainState(NamedTuple):
    params: PyTree
    model_state: PyTree
    opt_state: PyTree


class Predictions(NamedTuple):
    """What the final model says of R examples."""

    correct: jax.Array  # bool [R]: argmax of the logits is the label
    loss: jax.Array  # float32 [R]: cross-entropy, nats, without label smoothing
    finite: jax.Array  # bool []: every logit is finite


def make_optimizer(recipe: Recipe, steps: int) -> optax.GradientTransformation:
    """SGD with momentum over `steps` steps, as the recipe says."""
    learning_rate = recipe.learning_rate
    if recipe.schedule == "linear":
        learning_rate = optax.linear_schedule(learning_rate, 0.0, steps)
    return optax.sgd(learning_rate, recipe.momentum or None)


def to_float(images: jax.Array) -> jax.Array:
    """uint8 pixels to float32 in [0, 1]; float32 images pass unchanged."""
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255
    return images


def init(
    model: Model,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    images: jax.Array,
) -> TrainState:
    """A fresh model for images like images [N, H, W, C]."""
    params, model_state = model.init(key, to_float(images[0]))
    return TrainState(params, model_state, optimizer.init(params))


def train_step(
    model: Model,
    optimizer: optax.GradientTransformation,
    label_smoothing: float,
    state: TrainState,
    images_BxHxWxC: jax.Array,
    labels_B: jax.Array,
    weights_B: jax.Array,
) -> TrainState:
    """One step on the mean cross-entropy over the examples of weight 1."""
    # 0 · NaN is NaN: an excluded example is blanked, not only weighted by 0.
    seen = weights_B > 0
    images = jnp.where(seen[:, None, None, None], to_float(images_BxHxWxC), jnp.float32(0))
    labels = jnp.where(seen, labels_B, 0)

    def loss_fn(params):
        logits, model_state = model.apply(params, state.model_state, images, weights_B)
        targets = jax.nn.one_hot(labels, logits.shape[-1])
        targets = optax.smooth_labels(targets, label_smoothing)
        losses = optax.softmax_cross_entropy(logits, targets)
        total = jnp.sum(weights_B * losses)
        # A masked batch may hold none of a model's examples.
        return total / jnp.maximum(jnp.sum(weights_B), 1), model_state

    grads, model_state = jax.grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), model_state, opt_state)


def fit(
    model: Model,
    optimizer: optax.GradientTransformation,
    label_smoothing: float,
    state: TrainState,
    images: jax.Array,
    labels: jax.Array,
    batches_of: Callable[[jax.Array], Batches],
    epochs: int,
) -> TrainState:
    """Train for whole epochs on images [N, H, W, C] and labels int32 [N].

    batches_of(epoch) says which rows each step of an epoch takes, and at which weight.
    """

    def step(state, batch):
        index, weight = batch
        state = train_step(
            model,
            optimizer,
            label_smoothing,
            state,
            images[index],
            labels[index],
            weight,
        )
        return state, None

    def epoch(state, number):
        return jax.lax.scan(step, state, batches_of(number))[0], None

    return jax.lax.scan(epoch, state, jnp.arange(epochs))[0]


def predict(
    model: Model, state: TrainState, images: jax.Array, labels: jax.Array
) -> Predictions:
    """Evaluate on images [R, H, W, C] and labels int32 [R], in chunks of rows."""
    rows = labels.size
    chunk = min(EVAL_BATCH, rows)
    # The last chunk overlaps the one before it, so that all have one shape.
    starts = jnp.minimum(jnp.arange(0, rows, chunk), rows - chunk)

    def one(start):
        batch = jax.lax.dynamic_slice_in_dim(images, start, chunk)
        label = jax.lax.dynamic_slice_in_dim(labels, start, chunk)
        logits, _ = model.apply(state.params, state.model_state, to_float(batch), None)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
        correct = jnp.argmax(logits, axis=-1) == label
        return correct, loss, jnp.all(jnp.isfinite(logits))

    correct, loss, finite = jax.lax.map(one, starts)

    def flat(chunks):
        overlap = starts.size * chunk - rows
        body, last = chunks[:-1].reshape(-1), chunks[-1, overlap:]
        return jnp.concatenate([body, last])

    return Predictions(flat(correct), flat(loss), jnp.all(finite))
