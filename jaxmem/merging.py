"""Runs of several workdirs as one."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.results import Reader, Run


class _Several(NamedTuple):
    """The outcomes of several runs, one after another, numbered from 0."""

    parts: list[tuple[Reader, np.ndarray]]

    def read(self, name: str, trials: np.ndarray) -> np.ndarray:
        ends = np.cumsum([numbers.size for _, numbers in self.parts])
        part = np.searchsorted(ends, trials, side="right")
        order = np.argsort(part, kind="stable")
        rows = [
            store.read(name, numbers[trials[part == k] - (ends[k] - numbers.size)])
            for k, (store, numbers) in enumerate(self.parts)
        ]
        return np.concatenate(rows)[np.argsort(order)]


# Of config.json: what runs that are merged may differ in.
_APART = ("dataset", "jaxmem", "sampling", "seed")


def merge_runs(runs: list[Run]) -> Run:
    """The trials of several workdirs as one run: other seeds, other machines.

    Its trials are numbered anew, its workdir is the first one's. Raises InputError if the
    runs are not of the same data and recipe, or hold the same trials.
    """
    first = runs[0]
    seen: dict[tuple, Path] = {}
    for run in runs:
        differ = [
            f"{key} ({first.config.get(key)} and {run.config.get(key)})"
            for key in sorted({*first.config, *run.config} - {*_APART})
            if first.config.get(key) != run.config.get(key)
        ]
        if differ:
            raise InputError(
                f"{first.workdir} and {run.workdir} cannot be merged: {', '.join(differ)} "
                "differ"
            )
        origin = run.config["seed"], run.config["sampling"]
        if origin in seen:
            raise InputError(
                f"{seen[origin]} and {run.workdir} are both of seed {origin[0]}: their "
                "trials are the same"
            )
        seen[origin] = run.workdir
    return dataclasses.replace(
        first,
        trials=np.arange(sum(run.trials.size for run in runs)),
        diverged=sum(run.diverged for run in runs),
        store=_Several([(run.store, run.trials) for run in runs]),
    )
