"""The ranking of labels by suspicion, and what follows from it."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow

from jaxmem.estimates.noise import Number, chance_wrong, noise_rate, number_wrong
from jaxmem.estimates.results import Run
from jaxmem.estimates.suspicion import held_out_margin, rank

CUT = 0.5  # chance to be wrong, from which on a label is a suspect


@dataclasses.dataclass(frozen=True, eq=False)
class Suspects:
    """What the held-out models of the last round say of N labels."""

    workdir: Path
    order: np.ndarray  # int64 [N]: rows, the most suspicious first
    margin: np.ndarray  # float64 [N], mean held-out margin; NaN where never held out
    margin_se: np.ndarray  # float64 [N], its standard error
    chance: np.ndarray  # float64 [N], to be wrong; NaN after one round
    said_label: np.ndarray  # int32 [N], the class that held-out models name most
    said_share: np.ndarray  # float64 [N], of those models
    suspected: np.ndarray  # bool [N]: rather wrong than right
    number: Number | None  # how many labels are wrong; None after one round
    stability: float  # share of the first rows that the round before had too; NaN: only one
    rounds: tuple[Run, ...]
    set_aside: np.ndarray  # int64 [N], the round that set it aside for good; 0: none

    @property
    def kept(self) -> np.ndarray:
        """The examples that are no suspects: bool [N]."""
        return ~self.suspected

    @property
    def expected_precision(self) -> np.ndarray:
        """Of each rank, the share of wrong labels so far, as expected: float64 [N]."""
        chance = self.chance[self.order]
        return np.cumsum(chance) / np.arange(1, chance.size + 1)

    def relabelled(self) -> np.ndarray:
        """The labels, of suspects the class that held-out models name: int32 [N]."""
        return np.where(self.suspected, self.said_label, self._labels).astype(np.int32)

    @property
    def _labels(self) -> np.ndarray:
        return self.rounds[-1].tr_labels

    def table(self) -> pyarrow.Table:
        """A row for each example in the order of suspicion, as in suspects.csv."""
        run, order = self.rounds[-1], self.order
        names = np.array(run.all_class_names)
        columns = {
            "rank": np.arange(1, order.size + 1),
            "row": order,
            "name": run.tr_names[order],
            "id": run.tr_ids[order],
            "label": names[self._labels[order]],
            "said": names[self.said_label[order]],
            "said_share": self.said_share[order],
            "margin": self.margin[order],
            "margin_se": self.margin_se[order],
            "chance_wrong": self.chance[order],
            "expected_precision": self.expected_precision,
            "set_aside_in_round": self.set_aside[order],
        }
        return pyarrow.table(columns)


class Gain(NamedTuple):
    """A mean test accuracy less that of training on all examples as they are."""

    difference: float
    low: float  # its interval of 95 %: Welch's, over trainings, for these test examples
    high: float
    accuracy: float


class Confirmation(NamedTuple):
    """What three changes of the training set are worth."""

    accuracy: float  # mean test accuracy of training on all examples as they are
    cleaned: Gain  # without the suspects
    relabelled: Gain  # with the label that held-out models name
    random: Gain  # without as many at random


class Judgement(NamedTuple):
    """What one round says."""

    run: Run
    margin: np.ndarray  # float64 [N]
    margin_se: np.ndarray  # float64 [N]
    said_label: np.ndarray  # int32 [N]
    said_share: np.ndarray  # float64 [N]
    chance: np.ndarray  # float64 [N]

    first: bool  # whether its models saw all labels

    @property
    def suspected(self) -> np.ndarray:
        """Labels that are wrong rather than right: bool [N].

        By their chance. Models of the first round have learnt the noise, so that their
        margins do not show how much there is: there, all that they contradict.
        """
        return self._contradicted if self.first else self.chance >= CUT

    @property
    def _contradicted(self) -> np.ndarray:
        return self.said_label != self.run.tr_labels

    @property
    def set_aside(self) -> np.ndarray:
        """What the models of the next round shall not see: bool [N].

        Every label beside which held-out models name another class most, but at most half
        of a class. However many labels are wrong, these models are mostly right.
        """
        labels, aside = self.run.tr_labels, self._contradicted
        for label in np.unique(labels[aside]):
            rows = np.flatnonzero(labels == label)
            ranked = rows[np.argsort(self.margin[rows], kind="stable")]
            aside[ranked[rows.size // 2 :]] = False
        return aside


def judge(run: Run, first: bool) -> Judgement:
    """What the trials of a run say of labels that they never saw.

    Raises InputError if the run stored no margins, or is in masked batching.
    """
    margin = held_out_margin(run)
    chance = np.full(margin.mean.size, np.nan)
    if not first:
        rate = noise_rate(margin.mean, run.config.num_classes)
        chance = chance_wrong(margin.mean, rate, run.config.num_classes)
    return Judgement(run, margin.mean, margin.se, *run.held_out_prediction(), chance, first)


def shared_first(first: Judgement, second: Judgement) -> float:
    """How stable the ranking is: the share of its first k rows that stood there before.

    k: the suspects of the second round. 1 where it has none.
    """
    k = int(second.suspected.sum())
    before, now = rank(first.margin)[:k], rank(second.margin)[:k]
    return float(np.isin(now, before).mean()) if k else 1.0


def conclude(rounds: list[Judgement], workdir: Path) -> Suspects:
    """The ranking of the last round; workdir: where its files belong."""
    last, classes = rounds[-1], rounds[-1].run.config.num_classes
    since = np.zeros(last.margin.size, np.int64)
    for number, judgement in enumerate(rounds, 1):
        since = np.where(judgement.set_aside, np.where(since > 0, since, number), 0)
    return Suspects(
        workdir=workdir,
        order=rank(last.margin),
        margin=last.margin,
        margin_se=last.margin_se,
        chance=last.chance,
        said_label=last.said_label,
        said_share=last.said_share,
        suspected=last.suspected,
        number=None if last.first else number_wrong(last.margin, classes),
        stability=shared_first(*rounds[-2:]) if len(rounds) > 1 else np.nan,
        rounds=tuple(judgement.run for judgement in rounds),
        set_aside=since,
    )
