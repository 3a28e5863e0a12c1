"""Programs of many trials: `vmap` over trials, `shard_map` over devices.

Parameters are initialised outside `shard_map` and enter it sharded over trials: inside,
zero biases would be typed as replicated and their gradients summed over devices.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmem._shared.devices import AXIS
from jaxmem.training.fitting import TrainState
from jaxmem.training.job import Arrays, Job
from jaxmem.training.outcomes import Outcomes
from jaxmem.training.trial import advance_trial, evaluate_trial, init_trial, scale_trial

BY_TRIAL, SHARED = PartitionSpec(AXIS), PartitionSpec()


class After(Protocol):
    """Called between parts of a training."""

    def __call__(self, steps: int, states: TrainState, waited: bool = False) -> None:
        """steps: done so far. waited: whether the devices had to wait for this part."""


class Advance(Protocol):
    """Train M models from one step to before another; the states are consumed."""

    def __call__(
        self,
        trials: jax.Array,
        states: TrainState,
        first: int,
        last: int,
        after: After | None = None,
    ) -> TrainState:
        """after: called now and then, so that training can be taken up there."""


class Programs(NamedTuple):
    """Compiled for M trials at a time; every state and outcome has a leading M.

    M is a multiple of the devices times the width. Calls may return before they are
    computed.
    """

    init: Callable[[jax.Array], TrainState]  # (trials)
    advance: Advance
    evaluate: Callable[[jax.Array, TrainState], Outcomes]  # (trials, states)


class Lift(NamedTuple):
    """What makes of a function of ONE trial one of M trials."""

    job: Job
    mesh: Mesh
    width: int

    def __call__(self, of_one: Callable, own: int, *others: PartitionSpec) -> Callable:
        """f(data, root, *own, *others), from of_one(job, data, root, *own, *others).

        own: how many arguments are the trials' own, with a leading M; each of the others is
        given to every trial of a device, and lies on the devices as it says.
        """

        def local(data, root, *args):
            job = self.job.bound(data)

            def one(mine):
                return of_one(job, data, root, *mine, *args[own:])

            # One model alone is faster than a vmap of width 1: its products have no batch
            # axis.
            batch_size = self.width if self.width > 1 else None
            return jax.lax.map(one, args[:own], batch_size=batch_size)

        return jax.shard_map(
            local,
            mesh=self.mesh,
            in_specs=(SHARED, SHARED, *[BY_TRIAL] * own, *others),
            out_specs=BY_TRIAL,
            # Devices share nothing and no gradient crosses shard_map; custom rules (the
            # convolution's) cannot follow its types of what varies over devices.
            check_vma=False,
        )

    def jit(
        self, of_one: Callable, own: int, *others: PartitionSpec, donate: int | None = None
    ) -> Callable:
        """What the lift makes of a function, compiled; it may consume argument `donate`."""
        return jax.jit(
            self(of_one, own, *others),
            donate_argnums=() if donate is None else donate,
            compiler_options=self._compiler_options,
        )

    @property
    def _compiler_options(self) -> dict[str, bool] | None:
        """On a GPU some convolutions add in whatever order their threads come."""
        if self.mesh.devices.flat[0].platform != "gpu":
            return None
        return {"xla_gpu_exclude_nondeterministic_ops": True}

    def init(self) -> Callable:
        """f(data, root, trials) -> states, not standardised yet."""

        @functools.partial(jax.jit, out_shardings=NamedSharding(self.mesh, BY_TRIAL))
        def init_all(data, root, trials):
            return jax.vmap(functools.partial(init_trial, self.job, data, root))(trials)

        return init_all


def on_devices(lift: Lift, data: Arrays, root: jax.Array) -> Programs:
    """The programs, where the images lie on the devices."""
    job = lift.job
    init_all = lift.init()
    scale_all = lift.jit(scale_trial, 1)
    advance_all = lift.jit(advance_trial, 2, SHARED, SHARED, donate=3)
    evaluate_all = lift.jit(evaluate_trial, 2)

    def init(trials):
        if not job.learner.recipe.standardize:
            return init_all(data, root, trials)
        # One after another: together they would hold their images together.
        scaling = scale_all(data, root, trials)
        return init_all(data, root, trials)._replace(scaling=scaling)

    def advance(trials, states, first, last, after=None):
        first, last = first // job.steps, last // job.steps
        if after is None:
            return advance_all(data, root, trials, states, first, last)
        for epoch in range(first, last):
            states = advance_all(data, root, trials, states, epoch, epoch + 1)
            jax.block_until_ready(states)
            after((epoch + 1) * job.steps, states)
        return states

    return Programs(init, advance, functools.partial(evaluate_all, data, root))
