"""Finished blocks of trials, one after another, wherever and however they are trained."""

from collections.abc import Generator
from typing import NamedTuple

import jax

from jaxmem._shared.devices import out_of_memory
from jaxmem.errors import InputError
from jaxmem.storage.layouts import Layout
from jaxmem.training.ensemble import Block, Ensemble, InFlight, Plan, run_blocks

TOO_LARGE = (
    "not even one model a device fits in memory; give a smaller --batch-size or --model, "
    "or on a CPU fewer devices by XLA_FLAGS=--xla_force_host_platform_device_count=1"
)


class Finished(NamedTuple):
    """A block, and how it was trained."""

    block: Block
    layout: Layout


def finished_blocks(
    ensemble: Ensemble, plan: Plan, trials: list[int], in_flight: InFlight
) -> Generator[Finished]:
    """The trials, block by block; ensembles that do not fit into memory become narrower.

    Raises InputError where not even one model a device fits.
    """
    while trials:
        try:
            for block in run_blocks(ensemble, plan, trials, in_flight):
                trials = trials[len(block.trials) :]
                yield Finished(block, Layout.here(plan.width))
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if plan.width == 1:
                raise InputError(TOO_LARGE) from error
            # Evaluation needed more than the training that the width was timed on.
            plan = plan._replace(width=plan.width // 2)
