"""MANY models: `vmap` over trials, `shard_map` over devices.

A block runs `rounds` ensembles in sequence on each device; an ensemble is `width` models
side by side. A block passes through three compiled programs: init, advance by some epochs,
evaluate. Parameters are initialised outside `shard_map` and enter it sharded over trials:
inside, zero biases would be typed as replicated and their gradients summed over devices.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem._shared.devices import AXIS, everywhere, make_mesh
from jaxmem.data import Dataset
from jaxmem.models.contract import PyTree
from jaxmem.training.fitting import TrainState
from jaxmem.training.outcomes import Outcomes
from jaxmem.training.trial import (
    Arrays,
    Job,
    advance_trial,
    evaluate_trial,
    init_trial,
    scale_trial,
)


class Plan(NamedTuple):
    """How trials are laid out on this machine. Changes speed, and rounding at most."""

    devices: int
    width: int  # models side by side on one device
    rounds: int  # ensembles in sequence in one block, at most


class Programs(NamedTuple):
    """Compiled for M trials at a time; every state and outcome has a leading M.

    M is a multiple of the devices times the width. Calls return before they are computed.
    """

    init: Callable[..., TrainState]  # (trials)
    advance: Callable[..., TrainState]  # (trials, states, first, last); states are consumed
    evaluate: Callable[..., Outcomes]  # (trials, states)


def over_trials(job: Job, mesh: Mesh, width: int) -> Programs:
    """Lift the functions of ONE trial; each takes (data, root) first."""

    def lift(of_one, *bounds_specs):
        def local(data, root, trials, states, *bounds):
            def one(args):
                return of_one(job, data, root, *args, *bounds)

            # One model alone is faster than a vmap of width 1: its products have no batch
            # axis.
            batch_size = width if width > 1 else None
            return jax.lax.map(one, (trials, states), batch_size=batch_size)

        return jax.shard_map(
            local,
            mesh=mesh,
            in_specs=(shared, shared, by_trial, by_trial, *bounds_specs),
            out_specs=by_trial,
            # Devices share nothing and no gradient crosses shard_map; custom rules (the
            # convolution's) cannot follow its types of what varies over devices.
            check_vma=False,
        )

    by_trial, shared = PartitionSpec(AXIS), PartitionSpec()
    spread = NamedSharding(mesh, by_trial)

    @functools.partial(jax.jit, out_shardings=spread)
    def init_all(data, root, trials):
        return jax.vmap(functools.partial(init_trial, job, data, root))(trials)

    def scale(job, data, root, trial, _):
        return scale_trial(job, data, root, trial)

    scale_all = jax.jit(lift(scale))

    def init_and_scale(data, root, trials):
        # One after another: together they would hold their images together.
        scaling = scale_all(data, root, trials, trials)
        return init_all(data, root, trials)._replace(scaling=scaling)

    return Programs(
        init_and_scale if job.learner.recipe.standardize else init_all,
        jax.jit(lift(advance_trial, shared, shared), donate_argnums=3),
        jax.jit(lift(evaluate_trial)),
    )


class Ensemble(NamedTuple):
    """A job, with its data on every local device."""

    job: Job
    mesh: Mesh
    data: Arrays
    root: jax.Array

    def programs(self, width: int, job: Job | None = None) -> Programs:
        """The compiled programs, with data and root key filled in."""

        def filled(program: Callable) -> Callable:
            return functools.partial(program, self.data, self.root)

        return Programs(*map(filled, over_trials(job or self.job, self.mesh, width)))

    def place(self, values: PyTree) -> PyTree:
        """Arrays with a leading axis of trials, spread over the devices."""
        return jax.device_put(values, NamedSharding(self.mesh, PartitionSpec(AXIS)))


def make_ensemble(
    job: Job, data: Dataset, root: jax.Array, masks: np.ndarray | None = None
) -> Ensemble:
    """Place the data on all local devices, as one mesh.

    masks: bits of the trials' subsets, uint8 [T, ceil(N / 8)]; None draws them.
    """
    mesh = make_mesh()
    return Ensemble(job, mesh, *everywhere((Arrays.of(data, masks), root), mesh))


class Block(NamedTuple):
    """Some finished trials."""

    trials: list[int]
    outcomes: Outcomes  # in NumPy
    states: TrainState  # on the devices; may hold more than `trials`: blocks are padded


class InFlight(Protocol):
    """Where a block in training is kept, so that a crash loses only some epochs."""

    def load(self, trials: np.ndarray, like: TrainState) -> tuple[int, TrainState] | None:
        """(epochs done, states) of these very trials, or None."""

    def epoch_done(self, trials: np.ndarray, epoch: int, states: TrainState) -> None:
        """Called after each epoch with how many are done; saves only now and then."""


def run_blocks(
    ensemble: Ensemble,
    plan: Plan,
    trials: Sequence[int],
    in_flight: InFlight | None = None,
) -> Iterator[Block]:
    """Run the trials block by block.

    While one block is being used, the next is already being computed. With in_flight,
    blocks of one round are trained epoch by epoch, and can be taken up where they were.
    """
    programs = ensemble.programs(plan.width)
    side_by_side = plan.devices * plan.width
    size = side_by_side * min(plan.rounds, -(-len(trials) // side_by_side))
    pending = None
    for start in range(0, len(trials), size):
        block = list(trials[start : start + size])
        # The last block is filled up, so that nothing compiles twice; the rest is cut off.
        numbers = np.array(block + [block[-1]] * (size - len(block)), np.int32)
        placed = ensemble.place(numbers)
        if in_flight is None or plan.rounds > 1:
            states = programs.init(placed)
            states = programs.advance(placed, states, 0, ensemble.job.learner.recipe.epochs)
        else:
            states = _by_epoch(ensemble, programs, numbers, in_flight)
        dispatched = Block(block, programs.evaluate(placed, states), states)
        if pending is not None:
            yield _fetch(pending)
        pending = dispatched
    if pending is not None:
        yield _fetch(pending)


def _by_epoch(
    ensemble: Ensemble, programs: Programs, numbers: np.ndarray, in_flight: InFlight
) -> TrainState:
    placed = ensemble.place(numbers)
    like = jax.eval_shape(programs.init, placed)
    kept = in_flight.load(numbers, like)
    done, states = kept if kept else (0, programs.init(placed))
    states = ensemble.place(states)
    for epoch in range(done, ensemble.job.learner.recipe.epochs):
        states = programs.advance(placed, states, epoch, epoch + 1)
        jax.block_until_ready(states)
        in_flight.epoch_done(numbers, epoch + 1, states)
    return states


def _fetch(block: Block) -> Block:
    outcomes = jax.tree.map(lambda a: np.asarray(a)[: len(block.trials)], block.outcomes)
    return block._replace(outcomes=outcomes)
