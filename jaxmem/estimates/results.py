"""What the finished trials of a workdir say.

run = jaxmem.open_run("runs/digits")  # later, or while it is still going on
run.memorization                      # float64 [N]
run.pairs(infl=0.15, mem=0.25)        # which training examples a test example needs
"""

from __future__ import annotations

import dataclasses
import functools
import html
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow

from jaxmem._shared.arguments import rows_of
from jaxmem.data import Dataset, Examples
from jaxmem.errors import InputError
from jaxmem.estimates import grouping
from jaxmem.estimates.bits import Bits, Words
from jaxmem.estimates.counts import Counts, influence_blocks, rate_difference
from jaxmem.estimates.pairs import Pairs, high_pairs
from jaxmem.estimates.parts import Part, class_part
from jaxmem.estimates.predictions import HeldOutPrediction, held_out_prediction
from jaxmem.estimates.readers import OtherTest, Reader
from jaxmem.estimates.scores import score_table
from jaxmem.estimates.search import MEMORY, Strongest
from jaxmem.estimates.statistics import interval, standard_error
from jaxmem.storage.config import RunConfig
from jaxmem.storage.integrity import UNDAMAGED, Damage

if TYPE_CHECKING:
    from jaxmem.reporting.report import Report


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A workdir's finished trials, as they were when it was opened.

    Trials that diverged are counted in `diverged`, those whose files are damaged are named
    in `damage`; both are left out of everything else. T, N, E: finished trials, training
    and test examples. Bits and scores are read when asked for.
    """

    workdir: Path
    config: RunConfig
    trials: np.ndarray  # int64 [T], the numbers of the finished trials
    diverged: int
    tr_labels: np.ndarray  # int32 [N]
    tt_labels: np.ndarray  # int32 [E]
    tr_ids: np.ndarray  # str [N]
    tt_ids: np.ndarray  # str [E]
    tr_names: np.ndarray  # str [N], by which the owner finds them
    tt_names: np.ndarray  # str [E]
    reader: Reader
    class_names: tuple[str, ...] = ()  # of the classes 0, 1, …; () where they are numbers
    damage: Damage = UNDAMAGED
    missing: int = 0  # trials that the workdir has room for, and that are not there yet
    tr_groups: np.ndarray | None = None  # str [N]: what is in or out together, by name

    def __repr__(self) -> str:
        return f"<Run {', '.join(self._description().values())}>"

    def _repr_html_(self) -> str:
        rows = self._description().items()
        cells = (f"<tr><th>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in rows)
        return f"<table>{''.join(cells)}</table>"

    def _description(self) -> dict[str, str]:
        n, e = self.tr_labels.size, self.tt_labels.size
        return {
            "workdir": str(self.workdir),
            "trials": f"{self.trials.size:,} trials of {self.config.model}",
            "data": f"{self.config.dataset}: {n:,} training and {e:,} test examples",
        }

    def select(self, trials) -> Run:
        """The same run with some of its trials only, by number: int [T'].

        Raises InputError for a trial that it does not have.
        """
        trials = np.unique(np.asarray(trials, np.int64))
        if (strange := np.setdiff1d(trials, self.trials)).size:
            raise InputError(f"{self.workdir} has no finished trial {strange[0]}")
        return dataclasses.replace(self, trials=trials)

    def halves(self) -> tuple[Run, Run]:
        """The first and the second half of its trials: how far do they agree?"""
        middle = self.trials.size // 2
        return self.select(self.trials[:middle]), self.select(self.trials[middle:])

    def with_test(self, trials: np.ndarray, test: Examples, correct: np.ndarray) -> Run:
        """The same trials (some of them, int [T'], sorted) on another test set.

        correct: bool [T', E'], which of its E' examples each trial gets right.
        """
        return dataclasses.replace(
            self,
            config=dataclasses.replace(self.config, test_size=test.labels.size),
            trials=trials,
            tt_labels=test.labels,
            tt_ids=test.ids,
            tt_names=test.names,
            reader=OtherTest(self.reader, trials, correct),
        )

    @property
    def all_class_names(self) -> tuple[str, ...]:
        """The names of all classes; their numbers where they have none."""
        return self.class_names or tuple(map(str, range(self.config.num_classes)))

    @functools.cached_property
    def included(self) -> np.ndarray:
        """Which training examples each trial saw: bool [T, N]."""
        return self._stored("included").mask()

    @functools.cached_property
    def train_correct(self) -> np.ndarray:
        """Which training examples, seen or not, each trial gets right: bool [T, N]."""
        return self._stored("train_correct").mask()

    @functools.cached_property
    def test_correct(self) -> np.ndarray:
        """Which test examples each trial gets right: bool [T, E]."""
        return self._stored("test_correct").mask()

    @functools.cached_property
    def _words(self) -> tuple[Words, Words]:
        """`included` and `test_correct` as words of trials."""
        included, test_correct = self.packed()
        return Words.of(included), Words.of(test_correct)

    @property
    def train_accuracy(self) -> np.ndarray:
        """Accuracy of each trial over the examples it saw: float32 [T]."""
        return self.reader.read("train_accuracy", self.trials)

    @property
    def test_accuracy(self) -> np.ndarray:
        """Test accuracy of each trial: float32 [T]."""
        return self.reader.read("test_accuracy", self.trials)

    @property
    def final_loss(self) -> np.ndarray:
        """Mean cross-entropy of each trial over the examples it saw, nats: float32 [T]."""
        return self.reader.read("final_loss", self.trials)

    @functools.cached_property
    def train_margin(self) -> np.ndarray:
        """Margins of the training examples, seen or not: float16 [T, N].

        The logit of the label minus the log-sum-exp of the others. Raises InputError if
        the run stored none.
        """
        return self._margins("train_margin")

    @functools.cached_property
    def test_margin(self) -> np.ndarray:
        """Margins of the test examples: float16 [T, E]; raises InputError as above."""
        return self._margins("test_margin")

    def _margins(self, name: str) -> np.ndarray:
        if not self.config.margins:
            raise InputError(f"{self.workdir} stored no margins: run it with --margins")
        return self.reader.read(name, self.trials)

    @functools.cached_property
    def memorization_counts(self) -> Counts:
        """In how many trials each example was in and out, and correct: int32 [N] each.

        Of groups: the means of their rows, float64 [N] each.
        """
        counts, groups = grouping.row_counts(self), self.tr_groups
        return counts if groups is None else grouping.of_groups(counts, groups)

    @functools.cached_property
    def memorization(self) -> np.ndarray:
        """mem of examples, or their groups: float64 [N]; NaN if never in or never out."""
        return rate_difference(self.memorization_counts)

    @functools.cached_property
    def memorization_se(self) -> np.ndarray:
        """Standard error of `memorization`: float64 [N]; see statistics.standard_error."""
        return standard_error(self.memorization_counts)

    def memorization_interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Confidence interval of `memorization`: (low, high), float64 [N] each.

        See statistics.interval. Raises InputError unless 0 < level < 1.
        """
        return interval(self.memorization_counts, level)

    def held_out_prediction(self) -> HeldOutPrediction:
        """Which class the models that never saw an example name most, and in what share.

        Of all training examples: label int32 [N], share float64 [N]. Raises InputError for
        adopted trials, which store no predicted classes.
        """
        if not self.config.trained:
            raise InputError(f"the trials of {self.workdir} name no classes: adopted")
        args = self.reader, self.trials, self.tr_labels, self.config.num_classes
        return held_out_prediction(*args)

    def scores(self) -> pyarrow.Table:
        """A row for each training example, as in scores.csv; `.to_pandas()` if you like."""
        return score_table(self)

    def influence(self, train_rows) -> np.ndarray:
        """infl of training rows on every test example: float64 [len(train_rows), E].

        Raises InputError for a row that is not in the training set.
        """
        return self.influence_with_se(train_rows)[0]

    def influence_with_se(
        self, train_rows, test_rows=slice(None)
    ) -> tuple[np.ndarray, np.ndarray]:
        """infl of training rows on test rows (all by default), and its standard error.

        Both float64 [len(train_rows), number of test rows], NaN where a training row was
        never in or never out. Raises InputError for a row that is in neither set.
        """
        rows = rows_of("training", train_rows, self.tr_labels.size)
        columns = rows_of("test", test_rows, self.tt_labels.size)
        parts = [
            (rate_difference(counts), standard_error(counts))
            for _, counts in influence_blocks(*self._words, rows, columns)
        ]
        infl, se = (np.concatenate(part) for part in zip(*parts, strict=True))
        return infl, se

    def pairs(
        self, infl: float = 0.15, mem: float = 0.25, same_class: bool = True
    ) -> Pairs:
        """Pairs with influence >= infl and memorization >= mem, by default of one class.

        The thresholds are the paper's, and so is the restriction. Raises InputError for
        thresholds outside [-1, 1].
        """
        parts = grouping.pair_parts(self, same_class)
        return high_pairs(*self._words, self.memorization, infl, mem, parts)

    def of_class(self, label: int) -> Part:
        """The training and the test rows of a class: int64 each."""
        return class_part(self.tr_labels, self.tt_labels, label)

    def discovery_p(self, rate: float = 0.05, memory: float = MEMORY) -> float:
        """The highest p of pairs that are discoveries among all N x E; -inf if none is.

        At a false-discovery rate, with memory in GiB: see `search.discovery_level`. Raises
        InputError unless 0 < rate < 1.
        """
        return grouping.discovery_p(self, rate, memory)

    def search(
        self,
        infl: float | None = 0.15,
        top: int = 0,
        harmful: bool = False,
        same_class: bool = False,
        memory: float = MEMORY,
    ) -> Strongest:
        """Search the influence of every training example on every test example.

        Also of examples that are not memorized, and across classes unless same_class:
        pairs with influence >= infl, and with `top` the highest of each training and of
        each test example. harmful=True searches for the most negative influences: pairs
        with influence <= -infl, and the lowest. The [N, E] matrix never exists; memory:
        GiB that may be taken. Raises InputError where that is too little; see
        `search.strongest`.
        """
        return grouping.search(self, infl, top, harmful, same_class, memory)

    def report(self, data: Dataset | None = None, **options) -> Report:
        """The report of the run: `.save("report.html")`; in a notebook it shows itself.

        data: the run's own, for its pictures. options: see `reporting.report.make_report`,
        which also says what raises InputError.
        """
        # The one door to a floor below, for whoever holds a run in a notebook.
        return importlib.import_module("jaxmem.reporting.report").make_report(
            self, data, **options
        )

    def packed(self) -> tuple[Bits, Bits]:
        """`included` and `test_correct` as bits: of N and of E examples."""
        return self._stored("included"), self._stored("test_correct")

    def _stored(self, name: str) -> Bits:
        """An array of bits as it is stored."""
        labels = self.tt_labels if name == "test_correct" else self.tr_labels
        return Bits(self.reader.read(name, self.trials), labels.size)
