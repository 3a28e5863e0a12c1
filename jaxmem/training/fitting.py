"""ONE model: init, fit, predict. Knows no subset, no ensemble, no mesh."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxmem.models.contract import Model, PyTree
from jaxmem.training.augmentation import augment
from jaxmem.training.batches import Batches
from jaxmem.training.dynamics import Dynamics, Seen, seen_of
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.inputs import Scaling, to_float
from jaxmem.training.optimizers import make_optimizer
from jaxmem.training.pieces import Pieces, cut
from jaxmem.training.queries import queried, query_views

# Rows per evaluation step: enough for the matrix units; for large images fewer, so that
# evaluation needs less memory than training did.
EVAL_ROWS = (16, 1000)  # at least, at most
EVAL_VALUES = 2**20  # pixels times channels


class Learner(NamedTuple):
    """The learning algorithm."""

    model: Model
    recipe: Recipe
    steps: int  # per epoch

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """What the recipe says, for epochs of `steps` steps."""
        return make_optimizer(self.recipe, self.steps)


class TrainState(NamedTuple):
    """ONE model in training."""

    params: PyTree
    model_state: PyTree
    opt_state: PyTree
    scaling: Scaling | None = None  # of the inputs, where they are standardised
    dynamics: Dynamics | None = None  # of the training set, where they are wanted


class Predictions(NamedTuple):
    """What the final model says of R examples."""

    offset: jax.Array  # int32 [R]: the class of the highest logit minus the label
    loss: jax.Array  # float32 [R]: cross-entropy, nats, without label smoothing
    margin: jax.Array  # float32 [R]: logit of the label minus log-sum-exp of the others
    highest: jax.Array  # float32 [R]: the same, minus the highest other
    finite: jax.Array  # bool []: every logit is finite
    queries: jax.Array | None = None  # float32 [R, Q]: margins of copies, if asked for
    probability: jax.Array | None = None  # float32 [R, K] of each class, if asked for

    @property
    def correct(self) -> jax.Array:
        """bool [R]: whether the highest logit is the label's."""
        return self.offset == 0


def init(learner: Learner, key: jax.Array, images: jax.Array) -> TrainState:
    """A fresh model for images like images [N, H, W, C], with no scaling yet."""
    params, model_state = learner.model.init(key, images[0].astype(jnp.float32))
    return TrainState(params, model_state, learner.optimizer.init(params))


def train_step(
    learner: Learner,
    state: TrainState,
    images_BxHxWxC: jax.Array,
    labels_B: jax.Array,
    weights_B: jax.Array,
    key: jax.Array | None = None,
) -> tuple[TrainState, jax.Array]:
    """One step on the mean cross-entropy over the examples of weight 1.

    Also gives the logits [B, K] before it. Without any such example, nothing changes: no
    momentum, no decay, no step of the schedule. key: of the model's random layers, where it
    has some.
    """
    # 0 · NaN is NaN: an excluded example is blanked, not only weighted by 0.
    seen = weights_B > 0
    images = to_float(images_BxHxWxC, state.scaling)
    images = jnp.where(seen[:, None, None, None], images, jnp.float32(0))
    labels = jnp.where(seen, labels_B, 0)

    keys = (key,) if learner.model.random else ()

    def loss_fn(params):
        logits, model_state = learner.model.apply(
            params, state.model_state, images, weights_B, *keys
        )
        targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=jnp.float32)
        targets = optax.smooth_labels(targets, learner.recipe.label_smoothing)
        losses = optax.softmax_cross_entropy(logits, targets)
        total = jnp.sum(weights_B * losses)
        return total / jnp.maximum(jnp.sum(weights_B), 1), (model_state, logits)

    grads, (model_state, logits) = jax.grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = learner.optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    new = TrainState(params, model_state, opt_state, state.scaling)
    old = state._replace(dynamics=None)
    new = jax.tree.map(lambda a, b: jnp.where(jnp.any(seen), a, b), new, old)
    return new, logits


def fit(
    learner: Learner,
    state: TrainState,
    read: Callable[[Batches], tuple[jax.Array, jax.Array]],
    batches: Batches,
) -> tuple[TrainState, Seen | None]:
    """Train a step on each batch; also what was seen, where dynamics are wanted.

    read(batch) gives the images [B, H, W, C] and labels int32 [B] of one batch, wherever
    they lie. The dynamics of the state stay as they were: `dynamics.add_seen`.
    """
    kept = state.dynamics

    def step(state, batch):
        images, labels = read(batch)
        if batch.views is not None:
            images = augment(images, batch.views, learner.recipe)
        state, logits = train_step(learner, state, images, labels, batch.weight, batch.key)
        return state, None if kept is None else seen_of(logits, labels)

    state, seen = jax.lax.scan(step, state._replace(dynamics=None), batches)
    return state._replace(dynamics=kept), seen


def evaluation_pieces(rows: int, shape: tuple[int, ...]) -> Pieces:
    """How R images of shape [H, W, C] are cut to be evaluated."""
    least, most = EVAL_ROWS
    return cut(rows, min(max(least, EVAL_VALUES // math.prod(shape)), most))


def predict(
    model: Model,
    state: TrainState,
    images: jax.Array,
    labels: jax.Array,
    probabilities: bool = False,
    queries: Sequence[str] = (),
) -> Predictions:
    """Evaluate on images [R, H, W, C] and labels int32 [R], piece by piece."""
    pieces = evaluation_pieces(labels.size, images.shape[1:])

    def one(start):
        batch = jax.lax.dynamic_slice_in_dim(images, start, pieces.size)
        label = jax.lax.dynamic_slice_in_dim(labels, start, pieces.size)
        return predict_piece(model, state, batch, label, probabilities, queries)

    found = jax.lax.map(one, jnp.asarray(pieces.start))

    def flat(found):
        body = found[:-1].reshape(-1, *found.shape[2:])
        return jnp.concatenate([body, found[-1, pieces.overlap :]])

    whole = jax.tree.map(flat, found._replace(finite=None))
    return whole._replace(finite=jnp.all(found.finite))


def predict_piece(
    model: Model,
    state: TrainState,
    images: jax.Array,
    labels: jax.Array,
    probabilities: bool = False,
    queries: Sequence[str] = (),
) -> Predictions:
    """Evaluate on images [R, H, W, C] and labels int32 [R], all at once."""

    def logits_of(images):
        inputs = to_float(images, state.scaling)
        return model.apply(state.params, state.model_state, inputs, None)[0]

    def margin_of(logits):
        others = jax.nn.logsumexp(logits, axis=-1, where=~is_label)
        return jnp.sum(logits, axis=-1, where=is_label) - others

    logits = logits_of(images)
    is_label = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    finite, asked = jnp.all(jnp.isfinite(logits)), None
    if queries:
        views = jnp.asarray(query_views(queries))
        asked = jax.lax.map(lambda view: margin_of(logits_of(queried(images, view))), views)
        finite, asked = finite & jnp.all(jnp.isfinite(asked)), asked.T
    return Predictions(
        offset=jnp.argmax(logits, axis=-1) - labels,
        loss=optax.softmax_cross_entropy_with_integer_labels(logits, labels),
        margin=margin_of(logits),
        highest=seen_of(logits, labels).margin,
        finite=finite,
        queries=asked,
        probability=jax.nn.softmax(logits) if probabilities else None,
    )
