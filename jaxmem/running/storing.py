"""Blocks on their way: trained by this process, and stored as they are finished."""

import contextlib
import functools
from collections.abc import Generator, Iterator
from pathlib import Path

from jaxmem._shared.progress import progress
from jaxmem.data import Dataset
from jaxmem.running.blocks import Finished, finished_blocks
from jaxmem.running.configuring import Configured
from jaxmem.running.planning import Placing, choose_placement, recall_plan
from jaxmem.running.preparing import room
from jaxmem.running.watch import Watch
from jaxmem.storage.appending import Appends
from jaxmem.storage.checkpoints import KeptModels, TrainingOnDisk
from jaxmem.storage.layouts import read_layouts, with_layout


def blocks_here(
    workdir: Path,
    todo: Configured,
    data: Dataset,
    trials: list[int],
    width: int | None,
    placement: Placing,
    in_flight: TrainingOnDisk,
) -> Generator[Finished]:
    """The trials, trained by this process."""
    nbytes = data.train.images.nbytes + data.test.images.nbytes
    place = choose_placement(placement, nbytes)
    ensemble = todo.ensemble(place, functools.partial(room, workdir))
    plan = recall_plan(workdir, ensemble, width, todo.config, len(trials))
    return finished_blocks(ensemble, plan, trials, in_flight)


def store_blocks(
    workdir: Path,
    appends: Appends,
    blocks: Iterator[Finished],
    watch: Watch,
    kept: KeptModels | None,
    done: int,
    of: int,
) -> None:
    """Store finished blocks, until the watch says that it is enough."""
    layouts = read_layouts(workdir)
    with (
        progress("training", of, "trials", done) as bar,
        contextlib.ExitStack() as ending,
    ):
        ending.callback(appends.flush)
        for block, layout in blocks:
            # A trial counts as finished only when its model is kept.
            if kept is not None:
                assert block.states is not None  # trained here
                kept.save(block.trials, block.states)
            layouts = with_layout(workdir, layouts, layout)
            appends.add(block.trials, block.outcomes, layouts.number(layout))
            done += len(block.trials)
            bar.update(len(block.trials))
            if watch.see(block, done, bar):
                break
