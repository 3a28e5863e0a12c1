"""While trials are trained: how fast, how well, and whether mem is precise enough."""

import time

import numpy as np
from tqdm import tqdm

from jaxmem._shared.progress import say
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.counts import Counts, memorization_counts
from jaxmem.estimates.learning import learning_warning
from jaxmem.estimates.stopping import Goal
from jaxmem.storage.store import TrialStore
from jaxmem.training.ensemble import Block

# How many times as many trials, before their standard errors are looked at again.
LOOK_AGAIN = 1.05
STARVED = 0.5  # share of chunks that devices wait for, from which on we say so


class Watch:
    """Looks at finished blocks, and tells what there is to tell."""

    def __init__(self, store: TrialStore, labels: np.ndarray, goal: Goal | None, mem: bool):
        self._store, self._labels, self._goal, self._mem = store, labels, goal, mem
        self._start = time.perf_counter()
        self._accuracies: list[float] = []
        self._outlook, self._next_look, self._told = "", 0.0, False
        self._starved = False

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
            self._look(self._goal, done, rate)
        accuracy = np.mean(self._accuracies)
        speed = f"{3600 * rate:,.0f} models/h"
        bar.set_postfix_str(f"{speed}, test {accuracy:.2%}{self._outlook}")
        return False

    def _look(self, goal: Goal, done: int, rate: float) -> None:
        """Foresee how many trials the goal needs."""
        counts = self._counts()
        self._outlook = f", {goal.outlook(counts, done, rate)}"
        if np.isfinite(goal.error(counts)) and not self._told:
            say(f"after {done} trials{self._outlook}")  # also where nobody sees the bar
            self._told = True
        self._next_look = LOOK_AGAIN * done

    def _counts(self) -> Counts:
        finished = self._store.finished()
        names, n = ("included", "train_correct"), self._labels.size
        return memorization_counts(*(Bits(self._store.read(k, finished), n) for k in names))

    def _tell_learning(self, block: Block) -> None:
        """Warn, once there are models, where they did not learn."""
        fitted = np.asarray(block.outcomes["train_accuracy"][~block.outcomes["diverged"]])
        if warning := learning_warning(fitted, self._labels, self._mem):
            say(f"warning: {warning}")
