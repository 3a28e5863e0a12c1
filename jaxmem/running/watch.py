"""While trials are trained: how fast, how well, and whether mem is precise enough."""

import time
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from jaxmem._shared.progress import say
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.counts import Counts, memorization_counts
from jaxmem.estimates.grouping import is_first, of_groups
from jaxmem.estimates.learning import learning_warning
from jaxmem.estimates.stopping import Goal
from jaxmem.running.choosing import Subsets
from jaxmem.storage.schema import FINISHED
from jaxmem.storage.store import TrialStore
from jaxmem.training.ensemble import Block

# How many times as many trials, before their standard errors are looked at again.
LOOK_AGAIN = 1.05
STARVED = 0.5  # share of chunks that devices wait for, from which on we say so


class Watch:
    """Looks at finished blocks, and tells what there is to tell."""

    def __init__(
        self,
        store: TrialStore,
        labels: np.ndarray,
        goal: Goal | None,
        mem: bool,
        subsets: Subsets,
    ):
        self._store, self._labels, self._goal, self._mem = store, labels, goal, mem
        self._groups = subsets.groups
        self._candidates = subsets.candidates()
        self._start = time.perf_counter()
        self._accuracies: list[float] = []
        self._outlook, self._next_look, self._told = "", 0.0, False
        self._starved = False
        self.at_work: Callable[[], str] = str  # who trains, in words; this process: nothing
        self._known = np.zeros(0, bool)  # trials that are counted
        self._counted: Counts | None = None
        self._at_start = 0  # trials, also of others

    def reached(self) -> bool:
        """Whether there is a goal, and the finished trials have reached it."""
        goal = self._goal
        return goal is not None and goal.error(self._counts()) <= goal.se

    def see(self, block: Block, done: int, bar: tqdm) -> bool:
        """Look at a block that was stored, the done-th trial its last; True to stop."""
        if not self._accuracies:
            self._tell_learning(block)
        if block.waited > STARVED and not self._starved:
            self._starved = True
            say(
                f"the feed from the host sets the pace: the devices waited for "
                f"{block.waited:.0%} of its chunks (--placement=device, or a faster disk)"
            )
        self._accuracies += block.outcomes["test_accuracy"].tolist()
        rate = len(self._accuracies) / (time.perf_counter() - self._start)
        if self._goal is not None and done >= self._next_look:
            if self.reached():
                return True
            self._look(self._goal)
            self._next_look = LOOK_AGAIN * done
        accuracy = np.mean(self._accuracies)
        speed = f"{3600 * rate:,.0f} models/h"
        bar.set_postfix_str(f"{speed}, test {accuracy:.2%}{self.at_work()}{self._outlook}")
        return False

    def _look(self, goal: Goal) -> None:
        """Foresee how many trials the goal needs."""
        counts, done = self._counts(), int(self._known.sum())
        rate = (done - self._at_start) / (time.perf_counter() - self._start)
        self._outlook = f", {goal.outlook(counts, done, rate)}"
        if np.isfinite(goal.error(counts)) and not self._told:
            say(f"after {done} trials{self._outlook}")  # also where nobody sees the bar
            self._told = True

    def _counts(self) -> Counts:
        """Of all finished trials; only those that are new since the last time are read."""
        finished = self._store.status() == FINISHED
        before = np.pad(self._known, (0, finished.size - self._known.size))
        new, names = np.flatnonzero(finished & ~before), ("included", "train_correct")
        n = self._labels.size
        counts = memorization_counts(*(Bits(self._store.read(k, new), n) for k in names))
        if self._counted is None:
            self._at_start = new.size
        else:
            counts = Counts(*(a + b for a, b in zip(counts, self._counted, strict=True)))
        self._known, self._counted = finished | before, counts
        return self._of_interest(counts)

    def _of_interest(self, counts: Counts) -> Counts:
        """Those of examples that can have an estimate, and of groups once each."""
        chosen = self._candidates
        if self._groups is not None:
            counts = of_groups(counts, self._groups.number)
            chosen = chosen & is_first(self._groups.number)
        return Counts(*(c[chosen] for c in counts))

    def _tell_learning(self, block: Block) -> None:
        """Warn, once there are models, where they did not learn."""
        fitted = np.asarray(block.outcomes["train_accuracy"][~block.outcomes["diverged"]])
        if warning := learning_warning(fitted, self._labels, self._mem):
            say(f"warning: {warning}")
