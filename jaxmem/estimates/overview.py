"""All that a report shows of a run, example by example."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.estimates.grouping import units
from jaxmem.estimates.links import Links, links_of
from jaxmem.estimates.pairs import Pairs
from jaxmem.estimates.predictions import Split, Votes, held_out_votes
from jaxmem.estimates.search.memory import MEMORY
from jaxmem.estimates.search.pairs_above import TooManyPairs
from jaxmem.estimates.search.strongest import Strongest, strongest
from jaxmem.estimates.search.tiles import MOST_TRIALS
from jaxmem.estimates.suspicion import held_out_margin
from jaxmem.estimates.valuation import held_out_accuracy

if TYPE_CHECKING:
    from jaxmem.estimates.results import Run

VOTES = 5  # classes that held-out models name, of each example
TOP = 8  # influences of each example, on either side


class Side(NamedTuple):
    """What is known of each of R examples of one split."""

    accuracy: np.ndarray  # float64 [R], of the models that did not train on it
    votes: Votes | None  # what these say, [R, VOTES]; None of adopted trials
    helped: Links  # [R, TOP]: the highest influences
    harmed: Links | None  # [R, TOP]: the most negative ones; None: not searched for


class Overview(NamedTuple):
    """All that a report shows of a run."""

    run: Run
    train: Side
    test: Side
    low: np.ndarray  # float64 [N], of the 95 % interval of mem
    high: np.ndarray  # float64 [N]
    pairs: Pairs  # above both thresholds, of all classes
    pairs_level: float  # the highest p-value of a discovery; -inf: none, NaN: not counted
    same_class_only: bool  # the pairs: those of all classes were too many
    margin: np.ndarray | None  # float64 [N], mean held-out margin, where margins are stored
    suspects: np.ndarray  # int64 [S]: rows that held-out models contradict, worst first


def overview(
    run: Run,
    infl: float = 0.15,
    mem: float = 0.25,
    top: int = TOP,
    harmful: bool = True,
    memory: float = MEMORY,
) -> Overview:
    """Estimate all that a report shows.

    infl, mem: the least influence and memorization of a pair; top: influences of each
    example; harmful: also the most negative ones, by a second search; memory: GiB. Raises
    InputError as `Run.search`.
    """
    level = run.discovery_p(memory=memory) if run.trials.size <= MOST_TRIALS else np.nan
    pairs, same_class = _pairs(run, infl, mem, memory)
    found = run.search(None, top, memory=memory)
    worst = run.search(None, top, harmful=True, memory=memory) if harmful else None

    def side(split: Split, accuracy: np.ndarray) -> Side:
        def links(strongest: Strongest, harmful: bool = False) -> Links:
            train = split == "train"
            best = strongest.of_train if train else strongest.of_test
            return links_of(*run.packed(), best, level, train, harmful)

        labels = run.tr_labels if split == "train" else run.tt_labels
        args = run.reader, run.trials, labels, run.config.num_classes, VOTES, split
        try:
            votes = held_out_votes(*args) if run.config.trained else None
        except InputError:  # another test set, of which nobody stored classes
            if split == "train":
                raise
            votes = None
        return Side(accuracy, votes, links(found), worst and links(worst, True))

    train = side("train", held_out_accuracy(run))
    right = np.concatenate(
        [
            run.packed()[1].part(start, start + 8192).mask().mean(axis=0)
            for start in range(0, run.tt_labels.size, 8192)
        ]
    )
    margin = _margin(run)
    return Overview(
        run,
        train,
        side("test", right),
        *run.memorization_interval(),
        pairs,
        level,
        same_class,
        margin,
        suspects_of(run.tr_labels, train, margin),
    )


def _pairs(run: Run, infl: float, mem: float, memory: float) -> tuple[Pairs, bool]:
    """The pairs of memorized examples, and whether only those of one class."""
    rows = units(run)
    rows = rows[run.memorization[rows] >= mem]
    if not rows.size:
        return run.pairs(infl, mem), False
    included, test_correct = run.packed()
    args = included.columns(rows), test_correct, run.memorization[rows], infl
    try:
        pairs = strongest(*args, memory=memory).pairs
    except TooManyPairs:
        return run.pairs(infl, mem), True
    return pairs._replace(tr_idx=rows[pairs.tr_idx]), False


def _margin(run: Run) -> np.ndarray | None:
    """Held-out margins, where they are stored and say something."""
    if not run.config.margins or run.config.batching == "masked":
        return None
    return held_out_margin(run).mean


def suspects_of(labels: np.ndarray, train: Side, margin: np.ndarray | None) -> np.ndarray:
    """Rows whose label the models that never saw them contradict, the worst first.

    Contradicted: they name another class most (adopted trials, which name none: most are
    wrong). By margin, where there is one; else by how few are right, then by how many agree
    on the other class.
    """
    if train.votes is None:
        contradicted, agree = train.accuracy < 0.5, np.zeros(labels.size)
    else:
        contradicted = train.votes.label[:, 0] != labels
        agree = train.votes.share[:, 0]
    rows = np.flatnonzero(contradicted & np.isfinite(train.accuracy))
    keys = (-agree[rows], train.accuracy[rows]) if margin is None else (margin[rows],)
    return rows[np.lexsort(keys)]


class Memorized(NamedTuple):
    """How many training examples, or groups, are memorized, and how sure that is."""

    of: int  # that have an estimate
    number: int  # estimates at or above the threshold
    surely: int  # whose 95 % interval lies there too
    perhaps: int  # whose interval reaches it


def count_memorized(shown: Overview, mem: float) -> Memorized:
    """How many examples, or groups, have mem at or above a threshold."""
    rows = units(shown.run)
    values = [x[rows] for x in (shown.run.memorization, shown.low, shown.high)]
    known = int(np.isfinite(values[0]).sum())
    return Memorized(known, *(int((value >= mem).sum()) for value in values))


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """A mean over trials [T], and its 95 % interval: normal, of their standard error."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not known.size:
        return np.nan, np.nan, np.nan
    half = 1.96 * known.std(ddof=1) / np.sqrt(known.size) if known.size > 1 else np.inf
    return known.mean(), known.mean() - half, known.mean() + half
