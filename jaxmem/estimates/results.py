"""What the finished trials of a workdir say.

run = jaxmem.open_run("runs/digits")  # later, or while it is still going on
run.memorization                      # float64 [N]
run.pairs(infl=0.15, mem=0.25)        # who needs whom
"""

import dataclasses
import functools
import html
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from jaxmem._shared.arguments import difference, rows_of, whole
from jaxmem._shared.files import local_path
from jaxmem.data import Examples
from jaxmem.errors import InputError
from jaxmem.estimates.bits import EXAMPLES, words_of
from jaxmem.estimates.counts import (
    Counts,
    influence_counts,
    memorization_counts,
    rate_difference,
)
from jaxmem.estimates.readers import OtherTest, Reader
from jaxmem.estimates.search.search import MEMORY, Found, TooManyPairs, search, search_parts
from jaxmem.estimates.statistics import discoveries, interval, p_value, standard_error
from jaxmem.storage.config import RunConfig, read_config
from jaxmem.storage.integrity import UNDAMAGED, Damage, find_damage
from jaxmem.storage.schema import DIVERGED
from jaxmem.storage.store import open_store
from jaxmem.storage.workdir import read_names

TAIL = 100_000  # pairs that may pass by accident the first look for discoveries
INFLUENCE_ROWS = 1024  # training examples per influence product: bounds its memory


class Pairs(NamedTuple):
    """Memorized training examples and test examples they influence, strongest first."""

    tr_idx: np.ndarray  # int64 [P], row in train
    tt_idx: np.ndarray  # int64 [P], row in test
    infl: np.ndarray  # float64 [P]
    infl_se: np.ndarray  # float64 [P], standard error of infl
    infl_p: np.ndarray  # float64 [P], statistics.p_value of infl
    mem: np.ndarray  # float64 [P], memorization of tr_idx


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
    reader: Reader
    class_names: tuple[str, ...] = ()  # of the classes 0, 1, …; () where they are numbers
    damage: Damage = UNDAMAGED

    def __repr__(self) -> str:
        config = self.config
        return (
            f"<Run {self.workdir}: {self.trials.size:,} trials of {config.model} on "
            f"{config.dataset}, {self.tr_labels.size:,} training and "
            f"{self.tt_labels.size:,} test examples>"
        )

    def _repr_html_(self) -> str:
        config = self.config
        rows = {
            "workdir": self.workdir,
            "data": f"{config.dataset}: {self.tr_labels.size:,} training and "
            f"{self.tt_labels.size:,} test examples",
            "model": config.model,
            "trials": f"{self.trials.size:,} ({self.diverged} diverged)",
        }
        cells = "".join(
            f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table>{cells}</table>"

    def select(self, trials) -> "Run":
        """The same run with some of its trials only, by number: int [T'].

        Raises InputError for a trial that it does not have.
        """
        trials = np.unique(np.asarray(trials, np.int64))
        if (strange := np.setdiff1d(trials, self.trials)).size:
            raise InputError(f"{self.workdir} has no finished trial {strange[0]}")
        return dataclasses.replace(self, trials=trials)

    def halves(self) -> tuple["Run", "Run"]:
        """The first and the second half of its trials: how far do they agree?"""
        middle = self.trials.size // 2
        return self.select(self.trials[:middle]), self.select(self.trials[middle:])

    def with_test(self, trials: np.ndarray, test: Examples, correct: np.ndarray) -> "Run":
        """The same trials (some of them, int [T'], sorted) on another test set.

        correct: bool [T', E'], which of its E' examples each trial gets right.
        """
        return dataclasses.replace(
            self,
            config=dataclasses.replace(self.config, test_size=test.labels.size),
            trials=trials,
            tt_labels=test.labels,
            tt_ids=test.ids,
            reader=OtherTest(self.reader, trials, correct),
        )

    @property
    def all_class_names(self) -> tuple[str, ...]:
        """The names of all classes; their numbers where they have none."""
        return self.class_names or tuple(map(str, range(self.config.num_classes)))

    @functools.cached_property
    def included(self) -> np.ndarray:
        """Which training examples each trial saw: bool [T, N]."""
        return self._bits("included", self.tr_labels.size)

    @functools.cached_property
    def train_correct(self) -> np.ndarray:
        """Which training examples, seen or not, each trial gets right: bool [T, N]."""
        return self._bits("train_correct", self.tr_labels.size)

    @functools.cached_property
    def test_correct(self) -> np.ndarray:
        """Which test examples each trial gets right: bool [T, E]."""
        return self._bits("test_correct", self.tt_labels.size)

    @functools.cached_property
    def _words(self) -> tuple[np.ndarray, np.ndarray]:
        """Words of trials, uint32 [W, ≥ N] of `included`, [W, ≥ E] of `test_correct`."""
        included, right = map(words_of, self.packed())
        return included, right

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
        """In how many trials each training example was in and out, and right: [N] each."""
        return memorization_counts(
            self.reader.read("included", self.trials),
            self.reader.read("train_correct", self.trials),
            self.tr_labels.size,
        )

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
        parts = [
            (rate_difference(counts), standard_error(counts))
            for _, counts in self._influence_counts(train_rows, test_rows)
        ]
        infl, se = (np.concatenate(part) for part in zip(*parts, strict=True))
        return infl, se

    def _influence_counts(
        self, train_rows, test_rows
    ) -> Iterator[tuple[np.ndarray, Counts]]:
        """INFLUENCE_ROWS training rows at a time, and their counts with the test rows."""
        rows = rows_of("training", train_rows, self.tr_labels.size)
        test_rows = rows_of("test", test_rows, self.tt_labels.size)
        included, right = self._words
        right = right[:, test_rows]
        columns = right.shape[1]
        right = _fill(right)
        for start in range(0, max(rows.size, 1), INFLUENCE_ROWS):
            some = rows[start : start + INFLUENCE_ROWS]
            counts = influence_counts(_fill(included[:, some]), right, self.trials.size)
            counts = (np.asarray(x)[: some.size, :columns] for x in counts)
            yield some, Counts(*counts)

    def pairs(
        self, infl: float = 0.15, mem: float = 0.25, same_class: bool = True
    ) -> Pairs:
        """Pairs with influence >= infl and memorization >= mem, by default of one class.

        The thresholds are the paper's, and so is the restriction. Raises InputError for
        thresholds outside [-1, 1].
        """
        infl, mem = difference("infl threshold", infl), difference("mem threshold", mem)
        found = []
        for of_train, of_test in self._parts(same_class):
            rows = of_train[self.memorization[of_train] >= mem]
            if rows.size and of_test.size:
                for some, counts in self._influence_counts(rows, of_test):
                    value = rate_difference(counts)
                    r, c = np.nonzero(value >= infl)
                    high = Counts(*(np.broadcast_to(x, value.shape)[r, c] for x in counts))
                    measures = value[r, c], standard_error(high), p_value(high)
                    found.append((some[r], of_test[c], *measures))
        if not found:
            found = [(np.zeros(0, np.int64),) * 2 + (np.zeros(0),) * 3]
        tr, tt, *values = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((tt, tr, -values[0]))
        tr, tt, *values = (part[order] for part in (tr, tt, *values))
        return Pairs(tr, tt, *values, self.memorization[tr])

    def _parts(self, same_class: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        """Training and test rows that may be a pair: of each class, or all."""
        if not same_class:
            return [(np.arange(self.tr_labels.size), np.arange(self.tt_labels.size))]
        labels = np.intersect1d(self.tr_labels, self.tt_labels)
        return [self.of_class(label) for label in labels]

    def of_class(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """The training and the test rows of a class: int64 each."""
        return np.flatnonzero(self.tr_labels == label), np.flatnonzero(
            self.tt_labels == label
        )

    def discovery_p(self, rate: float = 0.05, memory: float = MEMORY) -> float:
        """The highest p of pairs that are discoveries among all N x E; -inf if none is.

        At a false-discovery rate (Benjamini & Hochberg 1995) over the one-sided exact tests
        of infl > 0 (statistics.p_value) of every pair with an estimate, across classes:
        whoever looks for the highest influences has looked at all of them. Only p-values
        of a tail of z are made, which can only make discoveries fewer. Tests of pairs that
        share an example depend on each other. Raises InputError unless 0 < rate < 1.
        memory: GiB for the search of the tail; where it holds fewer pairs than there may be
        discoveries, p is that of those it holds.
        """
        if not 0 < rate < 1:
            raise InputError(f"false-discovery rate {rate} is outside (0, 1)")
        tests = int(np.isfinite(self.memorization).sum()) * self.tt_labels.size
        if not tests:
            return -np.inf
        included, right = self.packed()
        sizes = self.tr_labels.size, self.tt_labels.size
        level, p, fewer = min(rate, TAIL / tests), None, False
        while True:
            try:
                found = search(
                    *(included, sizes[0], right, sizes[1]),
                    norm.isf(level),
                    by="z",
                    memory=memory,
                )
            except TooManyPairs:
                if p is not None:
                    break  # a wider tail does not fit: those that do are all discoveries
                level, fewer = level / 64, True
                continue
            p = p_value(found.counts)
            if fewer or level == rate or rate * p.size / tests < level:
                break
            level = min(rate, 4 * rate * p.size / tests)  # more of the tail is needed
        count = discoveries(p, tests, rate)
        return float(np.sort(p)[count - 1]) if count else -np.inf

    def search(
        self,
        infl: float | None = 0.15,
        top: int = 0,
        harmful: bool = False,
        same_class: bool = False,
        memory: float = MEMORY,
    ) -> Found:
        """Search the influence of every training example on every test example.

        Also of examples that are not memorized, and across classes unless same_class:
        pairs with influence >= infl, and with `top` the highest of each training and of
        each test example. harmful turns it round: pairs with influence <= -infl, and the
        lowest. The [N, E] matrix never exists; memory: GiB that may be taken. Raises
        InputError where that is too little; see `jaxmem.search`.
        """
        infl = None if infl is None else difference("infl threshold", infl)
        top = whole("top", top, least=0)
        included, right = self.packed()
        if harmful:
            right = ~right
        n, e = self.tr_labels.size, self.tt_labels.size
        if same_class:
            found = search_parts(
                included, right, self._parts(True), n, e, infl, top, memory
            )
        else:
            found = search(included, n, right, e, infl, top, memory=memory)
        if not harmful:
            return found
        # What lowers the chance of right answers raises that of wrong ones as much.
        wrong_in, n_in, wrong_out, n_out = found.counts
        return found._replace(
            counts=Counts(n_in - wrong_in, n_in, n_out - wrong_out, n_out),
            of_rows=found.of_rows._replace(infl=-found.of_rows.infl),
            of_columns=found.of_columns._replace(infl=-found.of_columns.infl),
        )

    def packed(self) -> tuple[np.ndarray, np.ndarray]:
        """Bits of `included` and `test_correct`: uint8 [T, ceil(N / 8)], [T, ceil(E / 8)].

        Packed along examples, the first one highest, 0 beyond the last.
        """
        included = self.reader.read("included", self.trials)
        return included, self.reader.read("test_correct", self.trials)

    def _bits(self, name: str, columns: int) -> np.ndarray:
        packed = self.reader.read(name, self.trials)
        return np.unpackbits(packed, axis=1, count=columns).view(bool)


def open_run(workdir: str | Path) -> Run:
    """Open the finished trials of a workdir.

    Each trial's rows are compared with each other; those of damaged files are left out.
    Raises InputError if the folder holds no run, or one of another format.
    """
    workdir = local_path(workdir)
    if not (workdir / "config.json").exists():
        raise InputError(f"{workdir} holds no jaxmem run")
    config = read_config(workdir)
    names = read_names(workdir)
    store = open_store(workdir, config)
    damage = find_damage(store, config)
    return Run(
        workdir=workdir,
        config=config,
        trials=np.setdiff1d(store.finished(), damage.trials),
        diverged=int((store.status() == DIVERGED).sum()),
        tr_labels=names.tr_labels,
        tt_labels=names.tt_labels,
        tr_ids=names.tr_ids,
        tt_ids=names.tt_ids,
        reader=store,
        class_names=tuple(names.class_names.tolist()),
        damage=damage,
    )


def _fill(words: np.ndarray) -> np.ndarray:
    """Words with columns of zeros up to a multiple of EXAMPLES: few shapes to compile."""
    return np.pad(words, ((0, 0), (0, -words.shape[1] % EXAMPLES)))
