"""Which subsets are meant: drawn of examples, drawn of groups, or given."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, get_args

import numpy as np

from jaxmem._shared.arguments import number, one_of, whole
from jaxmem.data.groups import Groups
from jaxmem.errors import InputError
from jaxmem.estimates.stopping import Goal
from jaxmem.training.keys import FIXED, Fixed
from jaxmem.training.subsets import (
    SAMPLINGS,
    Sampling,
    SubsetRule,
    most_balanced,
    most_drawn,
    subset_size,
)

TRIALS = 4000  # the paper's


class Subsets(NamedTuple):
    """The subsets of a run's trials."""

    rule: SubsetRule
    bits: np.ndarray | None = None  # of given masks, uint8 [T, ceil(N / 8)]
    groups: Groups | None = None

    @property
    def drawn_groups(self) -> np.ndarray | None:
        """Each example's group, int32 [N], where groups are drawn."""
        return None if self.groups is None or self.bits is not None else self.groups.number

    def candidates(self) -> np.ndarray:
        """Which examples may have an estimate, as some trials see them and some do not.

        Bool [N]; of drawn subsets, all.
        """
        if self.bits is None:
            return np.ones(self.rule.n, bool)
        ever, always = (f.reduce(self.bits) for f in (np.bitwise_or, np.bitwise_and))
        return np.unpackbits(ever & ~always, count=self.rule.n).astype(bool)

    def check(self, goal: Goal | None) -> None:
        """Raises InputError where no mem can come down to a standard error."""
        if goal is not None and not self.candidates().any():
            raise InputError(
                "the masks include every example always or never, so that mem has no "
                "standard error; leave out --until-se, or give masks that differ"
            )


def choose_subsets(
    n: int,
    fraction: float,
    sampling: Sampling,
    masks: np.ndarray | None,
    groups: Groups | None = None,
) -> Subsets:
    """The subsets of n examples that a caller means; raises InputError for impossible ones.

    Of groups, `fraction` of their number is drawn, so that each is in with that chance.
    """
    one_of("sampling", sampling, SAMPLINGS)
    fraction = number("subset fraction", fraction)
    if masks is None:
        size = subset_size(n, fraction)
        if groups is None:
            return Subsets(SubsetRule(n, size, sampling, fraction))
        return Subsets(_of_groups(n, fraction, size, sampling, groups), groups=groups)
    if sampling != "uniform":
        raise InputError(f"give either masks or sampling {sampling!r}: masks are subsets")
    masks = np.asarray(masks)
    if masks.ndim != 2 or masks.shape[1] != n or masks.dtype != bool or not len(masks):
        raise InputError(
            f"masks are {masks.dtype} {list(masks.shape)}; expected bool [trials, {n}]"
        )
    if groups is not None:
        _check_whole(masks, groups)
    bits, sizes = np.packbits(masks, axis=1), masks.sum(axis=1)
    least, most = int(sizes.min()), int(sizes.max())
    if not least:
        raise InputError(f"row {np.argmin(sizes)} of the masks includes no example")
    if least == most:
        return Subsets(SubsetRule(n, most, "given", most / n), bits, groups)
    rule = SubsetRule(n, subset_size(n, fraction), "given", fraction, most)
    return Subsets(rule, bits, groups)


def _of_groups(
    n: int, fraction: float, size: int, sampling: Sampling, groups: Groups
) -> SubsetRule:
    sizes = groups.sizes
    room = min(size, n - size)
    if sizes.max() > room:
        raise InputError(
            f"group {groups.named(int(sizes.argmax()))} has {sizes.max():,} of the {n:,} "
            f"training examples, more than the {room:,} of the smaller side of a subset "
            f"fraction of {fraction:g}; split it, or leave it out"
        )
    drawn = SubsetRule(sizes.size, subset_size(sizes.size, fraction), sampling, fraction)
    if sampling != "bernoulli" and (sizes == sizes[0]).all():
        return SubsetRule(n, drawn.size * int(sizes[0]), sampling, fraction, groups=drawn)
    bernoulli = sampling == "bernoulli"
    count = most_drawn(sizes.size, fraction) if bernoulli else drawn.size
    most = int(np.sort(sizes)[::-1][:count].sum())
    return SubsetRule(n, size, sampling, fraction, most, drawn)


def _check_whole(masks: np.ndarray, groups: Groups) -> None:
    """Raises InputError where a mask parts a group."""
    first = np.unique(groups.number, return_index=True)[1]
    parted = masks != masks[:, first[groups.number]]
    if parted.any():
        trial, row = np.argwhere(parted)[0]
        raise InputError(
            f"row {trial} of the masks parts group {groups.names[row]}: example {row} is "
            "not where the others are; include groups whole"
        )


def count_trials(trials: int | None, subsets: Subsets) -> int:
    """The number of trials; raises InputError where subsets allow fewer."""
    rule, bits = subsets.rule, subsets.bits
    default = TRIALS if bits is None else len(bits)
    trials = whole("trials", default if trials is None else trials, least=1)
    if bits is not None and trials > len(bits):
        raise InputError(f"{trials} trials need as many masks, but {len(bits)} are given")
    of, what = (rule.groups, "groups") if rule.groups else (rule, "examples")
    most = most_balanced(of.n, of.size) if of.size < of.n else trials
    if rule.sampling == "balanced" and trials > most:
        raise InputError(
            f"balanced sampling of {of.size} from {of.n} {what} ends at {most:,} trials, "
            f"{trials:,} are wanted; take another seed for the rest"
        )
    return trials


def fixed(fix: str | Sequence[str]) -> tuple[Fixed, ...]:
    """What all trials share, sorted: words, or a text with commas between them."""
    words = [word for word in fix.split(",") if word] if isinstance(fix, str) else fix
    for word in words:
        if word not in FIXED:
            raise InputError(f"unknown fix {word!r}; known: {', '.join(FIXED)}")
    return tuple(f for f in get_args(Fixed) if f in words)


def digest(array: np.ndarray | None) -> str | None:
    """A hash of an array; None of none."""
    if array is None:
        return None
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()[:16]
