"""The programs of many trials whose images stay on the host.

Training reads the rows of its batches in chunks of some steps; what looks at all examples
reads them in order, once for all models of a block. The steps and the pieces are those of
`programs.on_devices`, so that the results are the same bits.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jaxmem.training.feeding import advance_from_host
from jaxmem.training.fitting import TrainState
from jaxmem.training.job import Arrays, Job
from jaxmem.training.outcomes import Outcomes
from jaxmem.training.passes import HeldOut, measure_from_host, predict_from_host
from jaxmem.training.programs import Lift, Programs
from jaxmem.training.trial import conclude_trial

Room = Callable[[tuple[int, ...], np.dtype], np.ndarray]  # like numpy.empty


class Images(NamedTuple):
    """Of both splits, on the host; perhaps maps of files."""

    train: np.ndarray  # [N, H, W, C]
    test: np.ndarray  # [E, H, W, C]


def from_host(
    lift: Lift, data: Arrays, root: jax.Array, images: Images, room: Room = np.empty
) -> Programs:
    """The programs, where of the images only chunks are on the devices.

    room: makes the array for probabilities, which may be too many for memory.
    """
    init_all = lift.init()
    measure = measure_from_host(lift, data, root, images.train)
    advance = advance_from_host(lift, data, root, images.train)
    evaluate = _evaluating(lift, data, root, images, room)

    def init(trials):
        if not lift.job.learner.recipe.standardize:
            return init_all(data, root, trials)
        return init_all(data, root, trials)._replace(scaling=measure(trials))

    return Programs(init, advance, evaluate)


def _evaluating(
    lift: Lift, data: Arrays, root: jax.Array, images: Images, room: Room
) -> Callable[[jax.Array, TrainState], Outcomes]:
    job = lift.job
    bits = tuple(q for q in job.quantities if q != "held_out_probability")
    conclude = lift._replace(job=job._replace(quantities=bits))(conclude_trial, 4)
    conclude_all = jax.jit(conclude)
    mask_all = lift.jit(_draw_mask, 1)
    train_all = predict_from_host(lift, data, root, images.train, "train_labels")
    test_all = predict_from_host(lift, data, root, images.test, "test_labels")

    def evaluate(trials, states):
        held_out = None
        if job.probabilities:
            masks = np.asarray(mask_all(data, root, trials))
            shape = (len(masks), job.subsets.most_excluded, job.num_classes)
            held_out = HeldOut(masks, room(shape, np.dtype(np.float16)))
        train, test = train_all(states, held_out), test_all(states)
        outcomes = conclude_all(data, root, trials, states.dynamics, train, test)
        if held_out is not None:
            outcomes["held_out_probability"] = held_out.probability
        return outcomes

    return evaluate


def _draw_mask(job: Job, data: Arrays, root: jax.Array, trial: jax.Array) -> jax.Array:
    return job.subsets.draw(root, trial, data.masks, data.groups)[1]
