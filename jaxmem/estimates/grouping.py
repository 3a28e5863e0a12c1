"""mem and infl of groups, whose rows are in or out together.

A group's mem is that of Feldman & Zhang (2020, arXiv 2008.03703, equation 1) with the group
in place of the example, and the share of its rows that a model gets right in place of right
or wrong: the mean of its rows' differences. Each of its rows bears it. Influence is that of
the group; it stands once, at the group's first row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxmem.estimates.bits import Bits
from jaxmem.estimates.counts import Counts, memorization_counts
from jaxmem.estimates.parts import Part, class_parts
from jaxmem.estimates.search.best import Best
from jaxmem.estimates.search.discoveries import discovery_level
from jaxmem.estimates.search.strongest import Strongest, strongest

if TYPE_CHECKING:
    from jaxmem.estimates.results import Run


def is_first(groups: np.ndarray) -> np.ndarray:
    """Which rows are the first of their groups [N]: bool [N]."""
    first = np.zeros(groups.size, bool)
    first[np.unique(groups, return_index=True)[1]] = True
    return first


def of_groups(counts: Counts, groups: np.ndarray) -> Counts:
    """Each row's counts [N] to the mean of its group's [N]: float64 [N].

    Means of bits between 0 and 1, whose binomial variance p (1 - p) is the most that it can
    be: standard errors of groups are too large rather than too small.
    """
    _, number, size = np.unique(groups, return_inverse=True, return_counts=True)
    return Counts(*((np.bincount(number, c) / size)[number] for c in counts))


def units(run: Run) -> np.ndarray:
    """What has influence of its own, int64: all rows, or the first of each group."""
    if run.tr_groups is None:
        return np.arange(run.tr_labels.size)
    return np.flatnonzero(is_first(run.tr_groups))


def row_counts(run: Run) -> Counts:
    """Each row's own counts, int32 [N], also where it is in a group."""
    correct = run.reader.read("train_correct", run.trials)
    return memorization_counts(run.packed()[0], Bits(correct, run.tr_labels.size))


def pair_parts(run: Run, same_class: bool) -> list[Part] | None:
    """The pairs that count; None: all N x E. A group is of the classes of its rows."""
    if run.tr_groups is None:
        return class_parts(run.tr_labels, run.tt_labels) if same_class else None
    if not same_class:
        return [Part(units(run), np.arange(run.tt_labels.size))]
    _, first, number = np.unique(run.tr_groups, return_index=True, return_inverse=True)
    parts = class_parts(run.tr_labels, run.tt_labels)
    return [Part(np.unique(first[number[part.train]]), part.test) for part in parts]


def discovery_p(run: Run, rate: float, memory: float) -> float:
    """As `Run.discovery_p`."""
    included, correct = run.packed()
    rows = units(run)
    if run.tr_groups is not None:
        included = included.columns(rows)
    tests = int(np.isfinite(run.memorization[rows]).sum()) * run.tt_labels.size
    return discovery_level(included, correct, tests, rate, memory)


def search(
    run: Run, infl: float | None, top: int, harmful: bool, same_class: bool, memory: float
) -> Strongest:
    """As `Run.search`: what is found of a group stands at each of its rows."""
    parts = pair_parts(run, same_class)
    args = *run.packed(), run.memorization
    found = strongest(*args, infl, top, harmful, parts, memory)
    if run.tr_groups is None:
        return found
    _, first, number = np.unique(run.tr_groups, return_index=True, return_inverse=True)
    best = found.of_train
    return found._replace(of_train=Best(*(lines[first[number]] for lines in best)))
