"""Runs of several workdirs as one."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.estimates.results import Run
from jaxmem.storage.config import RunConfig
from jaxmem.storage.integrity import Damage


class Joined(NamedTuple):
    """A reader of several runs' outcomes, one after another, numbered from 0."""

    runs: list[Run]

    def read(self, name: str, trials: np.ndarray) -> np.ndarray:
        """As `Reader.read`."""
        ends = np.cumsum([run.trials.size for run in self.runs])
        part = np.searchsorted(ends, trials, side="right")
        order = np.argsort(part, kind="stable")
        rows = [
            run.reader.read(name, run.trials[trials[part == k] - (end - run.trials.size)])
            for k, (run, end) in enumerate(zip(self.runs, ends, strict=True))
        ]
        return np.concatenate(rows)[np.argsort(order)]


ACCIDENT = 1e-6  # chance of a shared subset, below which it is no accident


def merge_runs(runs: list[Run]) -> Run:
    """The trials of several workdirs as one run: other seeds, other machines, other trials.

    Its trials are numbered anew, its workdir is the first one's. Raises InputError if there
    is none, if the runs are not of the same data and recipe, or if trials of two of them
    depend on each other: by the same seed, which draws the same numbers, or by the same
    subsets. Standard errors take trials as independent.
    """
    if not runs:
        raise InputError("no runs to merge")
    parts = [part for run in runs for part in parts_of(run)]
    first = parts[0]
    for k, run in enumerate(parts):
        _need_alike(first, run)
        for other in parts[:k]:
            _need_independent(other, run)
    if len(parts) == 1:
        return runs[0]
    return dataclasses.replace(
        first,
        trials=np.arange(sum(run.trials.size for run in parts)),
        diverged=sum(run.diverged for run in runs),
        missing=sum(run.missing for run in runs),
        reader=Joined(parts),
        damage=Damage(
            np.concatenate([run.damage.trials for run in runs]),
            [f"{run.workdir}: {line}" for run in runs for line in run.damage.reasons],
        ),
    )


def parts_of(run: Run) -> list[Run]:
    """The runs that a merged one is made of, with those of their trials that it has."""
    if not isinstance(run.reader, Joined):
        return [run]
    parts, start = [], 0
    for part in run.reader.runs:
        end = start + part.trials.size
        chosen = run.trials[(run.trials >= start) & (run.trials < end)] - start
        parts.append(dataclasses.replace(part, trials=part.trials[chosen]))
        start = end
    return parts


def _need_alike(first: Run, run: Run) -> None:
    differ = [
        f"{term} ({a} and {b})"
        for term, a, b in first.config.differences(run.config, "merge")
    ]
    for name in ("tr_labels", "tr_ids", "tt_labels", "tt_ids"):
        if not np.array_equal(getattr(first, name), getattr(run, name)):
            differ.append(name)
    if differ:
        raise InputError(
            f"{first.workdir} and {run.workdir} cannot be merged: "
            f"{', '.join(differ)} differ"
        )


def _need_independent(run: Run, other: Run) -> None:
    what = f"{run.workdir} and {other.workdir} cannot be merged: "
    seed = run.config.seed
    if seed is not None and seed == other.config.seed:
        if _sampling(run.config) != _sampling(other.config):
            raise InputError(
                f"{what}both are of seed {seed}, and trials of one number start alike; "
                "take another seed"
            )
        shared = np.intersect1d(run.trials, other.trials)
        if shared.size:
            raise InputError(
                f"{what}both are of seed {seed} and hold trial {shared[0]}"
                + (f" and {shared.size - 1:,} more" if shared.size > 1 else "")
            )
        return
    if _drawn(run) and _drawn(other):
        return
    repeated = np.intersect1d(_subsets(run), _subsets(other)).size
    if repeated and run.trials.size * other.trials.size * same_by_accident(run) < ACCIDENT:
        raise InputError(
            f"{what}{repeated:,} of their subsets are the same, and outcomes of one subset "
            "are not independent"
        )


def _sampling(config: RunConfig) -> tuple[str, str | None]:
    return config.sampling, config.masks


def _drawn(run: Run) -> bool:
    """Whether subsets were drawn from the seed, not given."""
    return run.config.sampling != "given"


def _subsets(run: Run) -> np.ndarray:
    """Each trial's subset, as bytes: [T]."""
    bits = np.ascontiguousarray(run.reader.read("included", run.trials))
    return bits.view(np.dtype((np.void, bits.shape[1])))[:, 0]


def same_by_accident(run: Run) -> float:
    """The chance that two random subsets of a run's size are the same."""
    n = run.tr_labels.size
    included, _ = run.packed()
    m = int(np.bitwise_count(included.packed[0]).sum(dtype=np.int64))
    log = math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1)
    return math.exp(-log)


def repeated_subsets(run: Run) -> int:
    """How many of a run's trials repeat the subset of an earlier one, not by accident."""
    if _drawn(run) or run.trials.size < 2:
        return 0
    repeated = run.trials.size - np.unique(_subsets(run)).size
    likely = run.trials.size**2 * same_by_accident(run) >= ACCIDENT
    return 0 if likely else int(repeated)
