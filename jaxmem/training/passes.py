"""Look at all images of the host in order, in one pass for all models of a block."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.models import Model
from jaxmem.training import fitting
from jaxmem.training.chunks import drive, in_order
from jaxmem.training.fitting import Predictions, TrainState, evaluation_pieces
from jaxmem.training.inputs import (
    PASSES,
    add_moments,
    measuring_pieces,
    no_moments,
    scaling_of,
    seen_of,
)
from jaxmem.training.job import Arrays
from jaxmem.training.programs import SHARED, Lift
from jaxmem.training.queries import query_views


def measure_from_host(
    lift: Lift, data: Arrays, root: jax.Array, images: np.ndarray
) -> Callable:
    """f(trials) -> their Scaling, for images [N, H, W, C] of the host."""
    pieces = measuring_pieces(len(images), images.shape[1:])

    def draw(job, data, root, trial):
        subset, mask = job.subsets.draw(root, trial, data.masks, data.groups)
        return mask, jnp.asarray(subset.count, jnp.int32), no_moments(images.shape[1:])

    def add(number, job, data, root, moments, mask, count, start, fresh, rows):
        if not job.subsets.varies:
            count = job.subsets.size  # a constant, as where images lie on the devices

        def step(moments, piece):
            start, fresh, rows = piece
            seen = seen_of(mask, start, fresh, pieces.size)
            return add_moments(number, moments, rows, seen, count), None

        moments, _ = jax.lax.scan(step, moments, (start, fresh, rows))
        return moments

    draw_all = lift.jit(draw, 1)
    # One program a pass: what a pass knows of those before is a constant of it.
    add_all = [
        lift.jit(functools.partial(add, number), 3, SHARED, SHARED, SHARED)
        for number in range(PASSES)
    ]

    def measure(trials):
        mask, count, moments = draw_all(data, root, trials)

        def work(number, chunk, waited):
            nonlocal moments
            moments = add_all[number](data, root, moments, mask, count, *chunk)
            return moments.low

        for number in range(PASSES):
            chunks = in_order(images, pieces, lift.mesh)
            drive(chunks, functools.partial(work, number))
        return jax.jit(jax.vmap(scaling_of))(moments)

    return measure


def predict_from_host(
    lift: Lift, data: Arrays, root: jax.Array, images: np.ndarray, labels: str
) -> Callable:
    """f(states, held_out) -> Predictions of M trials, without probabilities."""
    pieces = evaluation_pieces(len(images), images.shape[1:])
    of_train = labels == "train_labels"
    probabilities = lift.job.probabilities and of_train
    queries = lift.job.queries if of_train else ()

    def nothing(job, data, root, trial):
        zero = jnp.zeros(len(images), jnp.float32)
        asked = jnp.zeros((zero.size, len(query_views(queries))), jnp.float32)
        return Predictions(
            offset=zero.astype(jnp.int32),
            loss=zero,
            margin=zero,
            highest=zero,
            finite=jnp.bool_(True),
            queries=asked if queries else None,
        )

    def add(job, data, root, state, found, start, fresh, rows):
        def step(found, piece):
            return _add_piece(
                job.learner.model,
                state,
                found,
                getattr(data, labels),
                *piece,
                probabilities,
                queries,
            )

        return jax.lax.scan(step, found, (start, fresh, rows))

    nothing_all = lift.jit(nothing, 1)
    add_all = lift.jit(add, 2, SHARED, SHARED, SHARED, donate=3)

    def predict(states, held_out=None):
        found = nothing_all(data, root, jax.tree.leaves(states)[0])

        def work(chunk, waited):
            nonlocal found
            found, (probability, finished) = add_all(data, root, states, found, *chunk)
            if held_out is not None:
                held_out.add(*map(np.asarray, (chunk.start, chunk.fresh, probability)))
            return finished

        drive(in_order(images, pieces, lift.mesh), work)
        return found

    return predict


def _add_piece(
    model: Model,
    state: TrainState,
    found: Predictions,
    labels: jax.Array,
    start: jax.Array,
    fresh: jax.Array,
    images: jax.Array,
    probabilities: bool,
    queries: tuple[str, ...],
) -> tuple[Predictions, tuple[jax.Array | None, jax.Array]]:
    """Predictions of R examples with those of a piece, whose probabilities come apart."""
    size = len(images)
    label = jax.lax.dynamic_slice_in_dim(labels, start, size)
    new = fitting.predict_piece(model, state, images, label, probabilities, queries)
    is_fresh = start + jnp.arange(size, dtype=jnp.int32) >= fresh

    def put(rows, part):
        if not rows.ndim:  # whether all is finite
            return rows & part
        old = jax.lax.dynamic_slice_in_dim(rows, start, size)
        fresh = is_fresh.reshape(-1, *[1] * (part.ndim - 1))
        part = jnp.where(fresh, part, old)
        return jax.lax.dynamic_update_slice_in_dim(rows, part, start, 0)

    found = jax.tree.map(put, found, new._replace(probability=None))
    probability = new.probability
    if probability is not None:
        probability = probability.astype(jnp.float16)
    return found, (probability, ~found.finite)


class HeldOut:
    """Gathers the probabilities of what M trials exclude, as they come."""

    def __init__(self, masks: np.ndarray, probability: np.ndarray):
        """masks: bool [M, N]; probability: float16 [M, most excluded, K], to be filled."""
        self.probability = probability
        probability[...] = np.nan
        excluded = np.cumsum(~masks, axis=1, dtype=np.int32) - 1
        self._place = np.where(masks, probability.shape[1], excluded)  # beyond: not wanted

    def add(self, start: np.ndarray, fresh: np.ndarray, found: np.ndarray) -> None:
        """Take float16 [M, Q, size, K] of the rows of Q pieces."""
        size = found.shape[2]
        for q, (begin, new) in enumerate(zip(start, fresh, strict=True)):
            for trial, place in enumerate(self._place[:, new : begin + size]):
                wanted = place < self.probability.shape[1]
                rows = found[trial, q, new - begin :]
                self.probability[trial, place[wanted]] = rows[wanted]
