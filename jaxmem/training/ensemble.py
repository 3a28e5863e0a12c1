"""MANY models: blocks of trials, one after another.

A block runs `rounds` ensembles in sequence on each device; an ensemble is `width` models
side by side. A block passes through three compiled programs: init, advance, evaluate.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, get_args

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem._shared.devices import AXIS, everywhere, make_mesh
from jaxmem.data import Dataset
from jaxmem.models.contract import PyTree
from jaxmem.training.fitting import TrainState
from jaxmem.training.host import Images, Room, from_host
from jaxmem.training.job import Arrays, Job
from jaxmem.training.outcomes import Outcomes
from jaxmem.training.programs import Lift, Programs, on_devices
from jaxmem.training.trial import init_and_scale

Placement = Literal["device", "host"]
PLACEMENTS: tuple[str, ...] = get_args(Placement)


class Plan(NamedTuple):
    """How trials are laid out on this machine. Changes speed, and rounding at most."""

    devices: int
    width: int  # models side by side on one device
    rounds: int  # ensembles in sequence in one block, at most


class Ensemble(NamedTuple):
    """A job, with its data on every local device, or its images on the host."""

    job: Job
    mesh: Mesh
    data: Arrays
    root: jax.Array
    images: Images | None = None  # where they stay on the host
    room: Room = np.empty  # for probabilities then

    def programs(self, width: int, job: Job | None = None) -> Programs:
        """The compiled programs, with data and root key filled in."""
        lift = Lift(job or self.job, self.mesh, width)
        if self.images is None:
            return on_devices(lift, self.data, self.root)
        return from_host(lift, self.data, self.root, self.images, self.room)

    def place(self, values: PyTree) -> PyTree:
        """Arrays with a leading axis of trials, spread over the devices."""
        return jax.device_put(values, NamedSharding(self.mesh, PartitionSpec(AXIS)))


def make_ensemble(
    job: Job,
    data: Dataset,
    root: jax.Array,
    masks: np.ndarray | None = None,
    placement: Placement = "device",
    room: Room = np.empty,
    groups: np.ndarray | None = None,
) -> Ensemble:
    """Place the data on all local devices, as one mesh; or leave the images on the host.

    masks: bits of the trials' subsets, uint8 [T, ceil(N / 8)]; None draws them.
    room: makes the arrays for probabilities where images stay on the host.
    groups: each training example's, int32 [N], where the rule draws groups.
    """
    mesh, on_host = make_mesh(), placement == "host"
    arrays = Arrays.of(data, masks, with_images=not on_host, groups=groups)
    images = Images(data.train.images, data.test.images) if on_host else None
    if (shared := job.learner.model.shared) is not None:
        arrays = arrays._replace(shared=shared.values)
    arrays, root = everywhere((arrays, root), mesh)
    return Ensemble(job, mesh, arrays, root, images, room)


class Block(NamedTuple):
    """Some finished trials."""

    trials: list[int]
    outcomes: Outcomes  # in NumPy
    # On the devices; may hold more than `trials`: blocks are padded. None: elsewhere
    states: TrainState | None
    waited: float = 0.0  # share of the chunks from the host that the devices waited for


class InFlight(Protocol):
    """Where a block in training is kept, so that a crash loses only some epochs."""

    def load(self, trials: np.ndarray, like: TrainState) -> tuple[int, TrainState] | None:
        """(steps done, states) of these very trials, or None."""

    def steps_done(self, trials: np.ndarray, steps: int, states: TrainState) -> None:
        """Called after each epoch or chunk with how many are done; saves now and then."""


def run_blocks(
    ensemble: Ensemble,
    plan: Plan,
    trials: Sequence[int],
    in_flight: InFlight | None = None,
    programs: Programs | None = None,
) -> Iterator[Block]:
    """Run the trials block by block.

    While one block of several rounds is being used, the next is already being computed.
    With in_flight, blocks of one round can be taken up where they were. programs: those of
    an earlier call with this width, which need not compile again.
    """
    programs = programs or ensemble.programs(plan.width)
    rounds = plan.rounds if ensemble.images is None else 1
    side_by_side = plan.devices * plan.width
    size = side_by_side * min(rounds, -(-len(trials) // side_by_side))
    last = ensemble.job.learner.recipe.epochs * ensemble.job.steps
    pending = None
    for start in range(0, len(trials), size):
        block = list(trials[start : start + size])
        # The last block is filled up, so that nothing compiles twice; the rest is cut off.
        numbers = np.array(block + [block[-1]] * (size - len(block)), np.int32)
        placed = ensemble.place(numbers)
        waits: list[bool] = []
        if in_flight is None or rounds > 1:
            states = programs.advance(placed, programs.init(placed), 0, last)
        else:
            states, waits = _step_by_step(ensemble, programs, numbers, in_flight)
        waited = sum(waits) / max(1, len(waits))
        dispatched = Block(block, programs.evaluate(placed, states), states, waited)
        if pending is not None:
            yield _fetch(pending)
        pending = dispatched
        if rounds == 1:  # it took long, and a crash must not lose it
            yield _fetch(pending)
            pending = None
    if pending is not None:
        yield _fetch(pending)


def _step_by_step(
    ensemble: Ensemble, programs: Programs, numbers: np.ndarray, in_flight: InFlight
) -> tuple[TrainState, list[bool]]:
    """Trained states; and of each chunk, whether the devices waited for it."""
    placed, waits = ensemble.place(numbers), []
    init = functools.partial(init_and_scale, ensemble.job, ensemble.data, ensemble.root)
    kept = in_flight.load(numbers, jax.eval_shape(jax.vmap(init), numbers))
    # The host may have stopped within an epoch, where devices cannot go on.
    if kept and ensemble.images is None and kept[0] % ensemble.job.steps:
        kept = None
    done, states = kept if kept else (0, programs.init(placed))
    last = ensemble.job.learner.recipe.epochs * ensemble.job.steps

    def after(steps: int, states: TrainState, waited: bool = False) -> None:
        waits.append(waited)
        in_flight.steps_done(numbers, steps, states)

    states = programs.advance(placed, ensemble.place(states), done, last, after)
    return states, waits


def _fetch(block: Block) -> Block:
    outcomes = jax.tree.map(lambda a: np.asarray(a)[: len(block.trials)], block.outcomes)
    return block._replace(outcomes=outcomes)
