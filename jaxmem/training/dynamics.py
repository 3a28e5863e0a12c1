"""How ONE model learns each example, by what the batches of its training show anyway.

Loss, margin and prediction are those of a step's own forward pass, before it learns: every
example that a trial sees is looked at once an epoch, and none that it does not see.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class Seen(NamedTuple):
    """What a model said of S batches of B examples."""

    loss: jax.Array  # float32 [S, B]: cross-entropy, nats, without label smoothing
    margin: jax.Array  # float32 [S, B]: logit of the label minus the highest other
    correct: jax.Array  # bool [S, B]


class Dynamics(NamedTuple):
    """Sums over the epochs so far, of N examples; 0 of those that it does not see."""

    loss: jax.Array  # float32 [N]
    margin: jax.Array  # float32 [N]
    correct: jax.Array  # int32 [N]: epochs in which it was right
    forgotten: jax.Array  # int32 [N]: times that it was right, and wrong the epoch after
    streak: jax.Array  # int32 [N]: the last epochs, in a row, in which it was right


def seen_of(logits: jax.Array, labels: jax.Array) -> Seen:
    """What logits [B, K] say of labels int32 [B]."""
    is_label = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    own = jnp.sum(logits, axis=-1, where=is_label)
    other = jnp.max(logits, axis=-1, where=~is_label, initial=-jnp.inf)
    return Seen(
        loss=optax.softmax_cross_entropy_with_integer_labels(logits, labels),
        margin=own - other,
        correct=jnp.argmax(logits, axis=-1) == labels,
    )


def no_dynamics(n: int) -> Dynamics:
    """Before the first step."""
    zero = jnp.zeros(n, jnp.float32)
    none = jnp.zeros(n, jnp.int32)
    return Dynamics(zero, zero, none, none, none)


def add_seen(
    dynamics: Dynamics, index: jax.Array, weight: jax.Array, seen: Seen
) -> Dynamics:
    """With some steps of one epoch, whose batches are of index and weight [S, B]."""
    # A place of weight 0 repeats an example, or is of one that the trial excludes.
    place = jnp.where(weight > 0, index, dynamics.loss.size).ravel()
    loss, margin, correct = (a.ravel() for a in seen)
    before = Dynamics(*(a.at[place].get(mode="clip") for a in dynamics))
    after = Dynamics(
        loss=before.loss + loss,
        margin=before.margin + margin,
        correct=before.correct + correct,
        forgotten=before.forgotten + (~correct & (before.streak > 0)),
        streak=jnp.where(correct, before.streak + 1, 0),
    )
    return Dynamics(
        *(a.at[place].set(new, mode="drop") for a, new in zip(dynamics, after, strict=True))
    )
