"""When mem is known well enough: `--until-se`."""

from typing import Literal, NamedTuple

import numpy as np

from jaxmem._shared.arguments import number, one_of, positive
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.counts import Counts, memorization_counts, rate_difference
from jaxmem.estimates.statistics import standard_error
from jaxmem.storage import store as trials_

MEMORIZED = 0.25  # mem of a memorized example, at least: the paper's
MOST = 2.0**20  # times as many trials: further ahead a goal is out of sight


Among = Literal["memorized", "all"]
AMONG: tuple[str, ...] = ("memorized", "all")


class Goal(NamedTuple):
    """A standard error of mem, and the share of training examples that must reach it."""

    se: float
    quantile: float
    among: Among = "memorized"  # of the examples with mem >= MEMORIZED, or of all

    def counts(self, store: trials_.TrialStore, n: int) -> Counts:
        """What finished trials say of the n training examples: [n] each."""
        done = np.flatnonzero(store.status() == trials_.FINISHED)
        names = "included", "train_correct"
        return memorization_counts(*(Bits(store.read(name, done), n) for name in names))

    def error(self, counts: Counts, times: float = 1.0) -> float:
        """The standard error at the quantile; inf where an example has none.

        times: were there so many times as many trials, with the same rates.
        """
        if self.among == "memorized":
            counts = _memorized(counts)
        errors = standard_error(Counts(*(times * c for c in counts)))
        errors = np.where(np.isnan(errors), np.inf, errors)
        return float(np.quantile(errors, self.quantile, method="higher"))

    def times(self, counts: Counts) -> float:
        """How many times as many trials the goal needs, by the rates so far; inf: unknown.

        Not by the root of their number alone: where rates are 0 or 1, as for most examples,
        standard errors fall faster.
        """
        low, high = 1.0, 2.0
        while self.error(counts, high) > self.se:
            low, high = high, 2 * high
            if high > MOST:
                return np.inf
        while high > 1.01 * low:
            middle = (low + high) / 2
            if self.error(counts, middle) > self.se:
                low = middle
            else:
                high = middle
        return high

    def outlook(self, counts: Counts, done: int, rate: float) -> str:
        """How many trials and hours are needed; done: trials so far, rate: a second."""
        error, times = self.error(counts), self.times(counts)
        if not np.isfinite(error):
            return "no standard error yet"
        if not np.isfinite(times):
            return f"se {error:.4f}: {self.se:g} is out of reach"
        needed = done * times
        hours = (needed - done) / rate / 3600
        return f"se {error:.4f}: {self.se:g} needs {needed:,.0f} trials, {hours:.2g} h more"


def make_goal(se: float, quantile: float, among: Among) -> Goal:
    """A goal that a run can reach; raises InputError for another."""
    quantile = number("se quantile", quantile, 0, 1)
    return Goal(positive("until se", se), quantile, one_of("se of", among, AMONG))


def _memorized(counts: Counts) -> Counts:
    """The counts of memorized examples, or of one that just is one where none is.

    That one would be right in all trials that saw it, and in 1 - MEMORIZED of the others.
    """
    memorized = rate_difference(counts) >= MEMORIZED
    if memorized.any():
        return Counts(*(np.asarray(c)[memorized] for c in counts))
    n_in, n_out = (np.median(np.asarray(n), keepdims=True) for n in (counts[1], counts[3]))
    return Counts(n_in, n_in, (1 - MEMORIZED) * n_out, n_out)
