"""Train on images that stay on the host: the rows of a few steps at a time."""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxmem.training.batches import Batches
from jaxmem.training.chunks import drive, per_chunk, read_ahead, take_rows
from jaxmem.training.fitting import TrainState
from jaxmem.training.job import Arrays, Job
from jaxmem.training.keys import GROUP
from jaxmem.training.programs import BY_TRIAL, SHARED, Advance, Lift
from jaxmem.training.trial import draw_batches, fit_batches


def advance_from_host(
    lift: Lift, data: Arrays, root: jax.Array, images: np.ndarray
) -> Advance:
    """Training of M trials on images [N, H, W, C] of the host."""
    job = lift.job
    spec = BY_TRIAL if job.batching == "packed" else SHARED
    draw_all = functools.partial(lift.jit(_draw_trial, 1, SHARED), data, root)
    fit_all = lift.jit(_fit_chunk, 4, SHARED, spec, donate=3)

    def advance(trials, states, first, last, after=None):
        def work(fed, waited):
            nonlocal states
            args = fed.batches, fed.slot, fed.begin, fed.images
            states, finished = fit_all(data, root, trials, states, *args)
            if after is not None:
                after(fed.done, states, waited)
            return finished

        draw = functools.partial(draw_all, trials)
        sources = _sources(job, np.asarray(trials), lift.mesh)
        sharding = NamedSharding(lift.mesh, spec)
        drive(_feed(job, draw, sources, images, sharding, (first, last)), work)
        return states

    return advance


class _Fed(NamedTuple):
    """Some steps of M trials."""

    batches: Batches  # of their epoch, with a leading M
    slot: jax.Array  # int32 [M]: whose images a trial takes, of those on its device
    begin: jax.Array  # int32 []: the first of these steps in the epoch
    images: jax.Array  # [trials or groups, steps * B, H, W, C]
    done: int  # steps of all epochs, once these are


def _draw_trial(
    job: Job, data: Arrays, root: jax.Array, trial: jax.Array, epoch: jax.Array
) -> Batches:
    subset = job.subsets.draw(root, trial, data.masks, data.groups)
    return draw_batches(job, data, root, trial, subset, epoch)


def _fit_chunk(
    job: Job,
    data: Arrays,
    root: jax.Array,
    trial: jax.Array,
    state: TrainState,
    batches: Batches,
    slot: jax.Array,
    begin: jax.Array,
    images: jax.Array,
) -> tuple[TrainState, jax.Array]:
    """Train ONE trial on the steps from `begin`; also says when this has been done."""
    sources, places, *shape = images.shape
    size = batches.index.shape[1]
    step = begin + jnp.arange(places // size, dtype=jnp.int32)
    # Steps beyond the epoch's end have no weight, so that nothing changes.
    part = jax.tree.map(lambda a: a[jnp.minimum(step, job.steps - 1)], batches)
    rows = part.index
    labels = data.train_labels[rows].ravel()
    part = part._replace(
        index=jnp.arange(places, dtype=jnp.int32).reshape(rows.shape),
        weight=jnp.where((step < job.steps)[:, None], part.weight, 0),
    )
    images = images.reshape(sources * places, *shape)

    def read(batch: Batches) -> tuple[jax.Array, jax.Array]:
        return images[slot * places + batch.index], labels[batch.index]

    state = fit_batches(job, state, read, part, rows)
    return state, jnp.isfinite(jax.tree.leaves(state.params)[0].ravel()[0])


class _Sources(NamedTuple):
    """Whose rows are read: each trial's own (packed), or each group's (masked)."""

    trials: np.ndarray  # int [R]: places among the M trials of one that reads these rows
    slot: np.ndarray  # int32 [M]: which of the rows on its device a trial takes


def _sources(job: Job, trials: np.ndarray, mesh: Mesh) -> _Sources:
    if job.batching == "packed":
        every = np.arange(trials.size, dtype=np.int32)
        return _Sources(every, every % (trials.size // mesh.size))
    _, first, slot = np.unique(trials // GROUP, return_index=True, return_inverse=True)
    return _Sources(first, slot.astype(np.int32))


def _feed(
    job: Job,
    draw: Callable[[int], Batches],
    sources: _Sources,
    images: np.ndarray,
    sharding: NamedSharding,
    span: tuple[int, int],
) -> Iterator[_Fed]:
    """The steps from one to before another, chunk by chunk; no chunk crosses an epoch."""
    drawn = functools.lru_cache(maxsize=2)(draw)
    # Not by eval_shape, in which JAX refuses a compiler's options.
    size = drawn(span[0] // job.steps).index.shape[2]
    nbytes = sources.trials.size * size * images[0].nbytes
    steps = per_chunk(job.steps, nbytes)
    begins = list(_begins(*span, job.steps, steps))

    @functools.lru_cache(maxsize=1)
    def index_of(epoch):
        index = np.asarray(drawn(epoch).index)[sources.trials]
        drawn(epoch + 1)  # is computed meanwhile
        return index

    def read(k):
        epoch, begin = divmod(begins[k], job.steps)
        step = np.minimum(np.arange(begin, begin + steps), job.steps - 1)
        rows = take_rows(images, index_of(epoch)[:, step].reshape(sources.trials.size, -1))
        rows = jax.device_put(rows, sharding)
        done = min(begins[k] + steps, (epoch + 1) * job.steps, span[1])
        return _Fed(drawn(epoch), sources.slot, np.int32(begin), rows, done)

    return read_ahead(read, len(begins))


def _begins(first: int, last: int, epoch: int, steps: int) -> Iterator[int]:
    """Where chunks of so many steps begin; none goes beyond its epoch."""
    while first < last:
        yield first
        first = min(first + steps, (first // epoch + 1) * epoch)
