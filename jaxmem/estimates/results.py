"""What the finished trials of a workdir say.

run = jaxmem.open_run("runs/digits")  # later, or while it is still going on
run.memorization                      # float64 [N]
run.pairs(infl=0.15, mem=0.25)        # who needs whom
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxmem._shared.arguments import rows_of
from jaxmem._shared.files import local_path
from jaxmem.data import Examples
from jaxmem.errors import InputError
from jaxmem.estimates.bits import Bits, Words
from jaxmem.estimates.counts import (
    Counts,
    influence_blocks,
    memorization_counts,
    rate_difference,
)
from jaxmem.estimates.pairs import Pairs, high_pairs
from jaxmem.estimates.parts import Part, class_part, class_parts
from jaxmem.estimates.search import MEMORY, Strongest, discovery_level, strongest
from jaxmem.estimates.statistics import interval, standard_error
from jaxmem.storage import store as trials_


class Reader(Protocol):
    """Where a run's outcomes are read from."""

    def read(self, name: str, trials: np.ndarray) -> np.ndarray:
        """The rows of an array of `trials.ARRAYS`, of the trials int [M]."""


class _OtherTest(NamedTuple):
    """A reader whose trials were asked about another test set."""

    store: Reader
    trials: np.ndarray  # int64 [K], sorted
    correct: np.ndarray  # bool [K, E]

    def read(self, name: str, trials: np.ndarray) -> np.ndarray:
        if name not in ("test_correct", "test_accuracy", "test_margin"):
            return self.store.read(name, trials)
        rows = self.correct[np.searchsorted(self.trials, trials)]
        if name == "test_correct":
            return np.packbits(rows, axis=1)
        if name == "test_accuracy":
            return rows.mean(axis=1, dtype=np.float32)
        raise InputError("predictions on another test set have no margins")


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A workdir's finished trials, as they were when it was opened.

    Trials that diverged are counted in `diverged`, those whose files are damaged are named
    in `damage`; both are left out of everything else. T, N, E: finished trials, training
    and test examples. Bits and scores are read when asked for.
    """

    workdir: Path
    config: dict[str, Any]
    trials: np.ndarray  # int64 [T], the numbers of the finished trials
    diverged: int
    tr_labels: np.ndarray  # int32 [N]
    tt_labels: np.ndarray  # int32 [E]
    tr_ids: np.ndarray  # str [N]
    tt_ids: np.ndarray  # str [E]
    store: Reader
    class_names: tuple[str, ...] = ()  # of the classes 0, 1, …; () where they are numbers
    damage: trials_.Damage = trials_.UNDAMAGED

    def with_test(self, trials: np.ndarray, test: Examples, correct: np.ndarray) -> "Run":
        """The same trials (some of them, int [T'], sorted) on another test set.

        correct: bool [T', E'], which of its E' examples each trial gets right.
        """
        return dataclasses.replace(
            self,
            trials=trials,
            tt_labels=test.labels,
            tt_ids=test.ids,
            store=_OtherTest(self.store, trials, correct),
        )

    @property
    def all_class_names(self) -> tuple[str, ...]:
        """The names of all classes; their numbers where they have none."""
        return self.class_names or tuple(map(str, range(self.config["num_classes"])))

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
        return self.store.read("train_accuracy", self.trials)

    @property
    def test_accuracy(self) -> np.ndarray:
        """Test accuracy of each trial: float32 [T]."""
        return self.store.read("test_accuracy", self.trials)

    @property
    def final_loss(self) -> np.ndarray:
        """Mean cross-entropy of each trial over the examples it saw, nats: float32 [T]."""
        return self.store.read("final_loss", self.trials)

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
        if not self.config["margins"]:
            raise InputError(f"{self.workdir} stored no margins: run it with --margins")
        return self.store.read(name, self.trials)

    @functools.cached_property
    def memorization_counts(self) -> Counts:
        """In how many trials each example was in and out, and correct: int32 [N] each."""
        return memorization_counts(self._stored("included"), self._stored("train_correct"))

    @functools.cached_property
    def memorization(self) -> np.ndarray:
        """mem of the training examples: float64 [N]; NaN if never in or never out."""
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
        parts = class_parts(self.tr_labels, self.tt_labels) if same_class else None
        return high_pairs(*self._words, self.memorization, infl, mem, parts)

    def of_class(self, label: int) -> Part:
        """The training and the test rows of a class: int64 each."""
        return class_part(self.tr_labels, self.tt_labels, label)

    def discovery_p(self, rate: float = 0.05, memory: float = MEMORY) -> float:
        """The highest p of pairs that are discoveries among all N x E; -inf if none is.

        At a false-discovery rate, with memory in GiB: see `search.discovery_level`. Raises
        InputError unless 0 < rate < 1.
        """
        tests = int(np.isfinite(self.memorization).sum()) * self.tt_labels.size
        return discovery_level(*self.packed(), tests, rate, memory)

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
        parts = class_parts(self.tr_labels, self.tt_labels) if same_class else None
        return strongest(
            *self.packed(), self.memorization, infl, top, harmful, parts, memory
        )

    def packed(self) -> tuple[Bits, Bits]:
        """`included` and `test_correct` as bits: of N and of E examples."""
        return self._stored("included"), self._stored("test_correct")

    def _stored(self, name: str) -> Bits:
        """An array of bits as it is stored."""
        labels = self.tt_labels if name == "test_correct" else self.tr_labels
        return Bits(self.store.read(name, self.trials), labels.size)


def open_run(workdir: str | Path) -> Run:
    """Open the finished trials of a workdir.

    Each trial's rows are compared with each other; those of damaged files are left out.
    Raises InputError if the folder holds no run, or one of another format.
    """
    workdir = local_path(workdir)
    if not (workdir / "config.json").exists():
        raise InputError(f"{workdir} holds no jaxmem run")
    config = trials_.read_config(workdir)
    examples = trials_.read_examples(workdir)
    store = trials_.open_store(workdir)
    n, e = examples["tr_labels"].size, examples["tt_labels"].size
    damage = store.check(n, e, config)
    status = store.status()
    finished = np.flatnonzero(status == trials_.FINISHED)
    return Run(
        workdir=workdir,
        config=config,
        trials=np.setdiff1d(finished, damage.trials),
        diverged=int((status == trials_.DIVERGED).sum()),
        tr_labels=examples["tr_labels"],
        tt_labels=examples["tt_labels"],
        tr_ids=examples["tr_ids"],
        tt_ids=examples["tt_ids"],
        store=store,
        class_names=tuple(examples.get("class_names", np.zeros(0, str)).tolist()),
        damage=damage,
    )
