"""Trials cut into sections that share no subset: what one fits, another may judge."""

from collections.abc import Sequence

import numpy as np

from jaxmem.errors import InputError
from jaxmem.estimates.merging import parts_of
from jaxmem.estimates.results import Run


def disjoint_trials(run: Run, percent: Sequence[int] = (50, 50)) -> list[np.ndarray]:
    """The trials of sections of about these sizes, which add up to 100: int64 each.

    As `run.select` takes them, in the order of the run. Trials of one subset, as of
    `run_trials(masks=)` with repeated rows, are in one section. So are those of one pass of
    a balanced run's walk through the training set, whose subsets complement each other; a
    trial that begins in one section's last pass and ends in the next is left out. Merged
    runs, whose parts are such runs, likewise. Raises InputError where a section is empty.
    """
    return [run.trials[rows] for rows in disjoint_rows(run, percent)]


def disjoint_rows(run: Run, percent: Sequence[int]) -> list[np.ndarray]:
    """The same as rows of the run's trials."""
    subset, passes = subset_numbers(run), _passes(run)
    group = np.where(passes[:, 0] < 0, subset, subset.size + passes[:, 0])
    _, first, of = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(first[of], kind="stable")  # as they are, where each is a group
    group = first[of][order]
    ends = np.cumsum(percent)[:-1] * order.size // 100
    sections = np.split(order, np.searchsorted(group, group[ends[: order.size]]))
    for k, section in enumerate(sections[:-1]):
        later = np.concatenate(sections[k + 1 :])
        shared = np.isin(subset[section], subset[later])
        shared |= np.isin(passes[section], passes[later][passes[later] >= 0]).any(axis=1)
        sections[k] = section[~shared]
    if not all(section.size for section in sections):
        shares = ", ".join(map(str, percent))
        raise InputError(
            f"the {order.size} trials of {run.workdir} make no sections of {shares} % that "
            "share no subset; train more trials"
        )
    return [np.sort(section) for section in sections]


def subset_numbers(run: Run) -> np.ndarray:
    """Which subset each trial has, from 0 on: int64 [T]."""
    packed = np.packbits(run.included, axis=1)
    rows = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}")[:, 0]
    return np.unique(rows, return_inverse=True)[1].ravel()


def _walk(run: Run) -> tuple[int, int]:
    """Of a balanced run: how much of its walk a trial is, and how long a pass."""
    n, m = run.config.train_size, run.config.subset_size
    if run.tr_groups is not None:
        n = np.unique(run.tr_groups).size
        assert run.config.subset_fraction is not None  # only adopted trials have none
        m = round(run.config.subset_fraction * n)
    assert m is not None  # only of groups do sizes of balanced subsets vary
    return min(m, n - m), n


def _passes(run: Run) -> np.ndarray:
    """The first and last pass of a balanced walk that each trial is of: int64 [T, 2].

    -1 of trials that are of none; each run that is merged has passes of its own.
    """
    found, used = [], 0
    for part in parts_of(run):
        passes = np.full((part.trials.size, 2), -1)
        if part.config.sampling == "balanced" and part.trials.size:
            piece, n = _walk(part)
            begin = part.trials * piece
            passes = used + np.stack([begin // n, (begin + piece - 1) // n], axis=1)
            used = int(passes.max()) + 1
        found.append(passes)
    return np.concatenate(found)
