"""Which training examples each trial sees (step 1 of the paper's Algorithm 1).

uniform: every trial draws its subset alone, as the paper does.
balanced: one walk through the training set, in a new random order on every pass, is cut
into pieces that the trials exclude one after another (include, if the subset is the smaller
part). After any number of trials, every example was excluded equally often, to within one.
bernoulli: a coin a trial and example, so that sizes vary; what Banzhaf values want.
given: the rows of masks that the caller chose.

Of groups, such as a patient's images, the same is drawn of groups in place of examples, and
their examples are in or out together. Each group is in with the chance `fraction`, and so
that share of the examples is in on average.
"""

import math
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem.errors import InputError
from jaxmem.training.keys import Purpose, purpose_key, trial_key

Sampling = Literal["uniform", "balanced", "bernoulli"]
SAMPLINGS: tuple[str, ...] = get_args(Sampling)


class Subset(NamedTuple):
    """What ONE trial sees."""

    # int32 [M]: distinct examples; beyond the count, the first one again
    index: jax.Array  # type: ignore[assignment]  # hides tuple.index
    # How many: M, or int32 [] where sizes vary
    count: int | jax.Array  # type: ignore[assignment]  # hides tuple.count


class SubsetRule(NamedTuple):
    """How the trials' subsets of n examples are drawn."""

    n: int
    size: int  # m; of bernoulli, about that
    sampling: Literal["uniform", "balanced", "bernoulli", "given"] = "uniform"
    fraction: float = math.nan  # the chance to be included, of bernoulli
    # The largest subset, where given masks or groups make sizes vary; size is then nominal
    most: int | None = None
    groups: "SubsetRule | None" = None  # how groups are drawn, where they are

    @property
    def varies(self) -> bool:
        """Whether trials see different numbers of examples."""
        return self.sampling == "bernoulli" or self.most is not None

    def draw(
        self,
        root: jax.Array,
        trial: jax.Array,
        masks: jax.Array | None = None,
        groups: jax.Array | None = None,
    ) -> tuple[Subset, jax.Array]:
        """What ONE trial sees, and the same as a mask, bool [n].

        masks: bits of the given subsets, uint8 [T, ceil(n / 8)]. groups: each example's,
        int32 [n].
        """
        n, m = self.n, self.size
        if self.groups is not None:
            assert groups is not None  # the rule is of them
            return self._of_mask(self.groups.draw(root, trial)[1][groups])
        if self.sampling == "given" and self.varies:
            assert masks is not None  # the rule is of them
            return self._of_mask(jnp.unpackbits(masks[trial], count=n).astype(bool))
        if self.sampling == "bernoulli":
            subset = draw_bernoulli(root, trial, n, self.fraction)
            mask = inclusion_mask(subset.index, n)
            return subset, mask & (subset.count > 0)
        if self.sampling == "given":
            assert masks is not None  # the rule is of them
            index = given_subset(masks, trial, n, m)
        elif self.sampling == "balanced":
            index = draw_balanced(root, trial, n, m)
        else:
            index = draw_subset(root, trial, n, m)
        return Subset(index, m), inclusion_mask(index, n)

    def _of_mask(self, mask: jax.Array) -> tuple[Subset, jax.Array]:
        size = self.size if self.most is None else self.most
        index = jnp.nonzero(mask, size=size, fill_value=0)[0].astype(jnp.int32)
        if self.most is None:
            return Subset(index, size), mask
        count = jnp.sum(mask, dtype=jnp.int32)
        return Subset(jnp.where(jnp.arange(size) < count, index, index[0]), count), mask

    @property
    def most_excluded(self) -> int:
        """How many examples a trial excludes, at most."""
        if self.most is not None:
            return self.n
        if self.sampling == "bernoulli":
            return most_drawn(self.n, 1 - self.fraction)
        return self.n - self.size


def subset_size(n: int, fraction: float) -> int:
    """m = round(fraction · n), the size of every subset of n examples.

    Raises InputError unless 0 < fraction < 1 and both sides hold at least one example.
    """
    if not 0 < fraction < 1:
        raise InputError(
            f"subset fraction {fraction} is outside (0, 1); the paper uses 0.7"
        )
    m = round(fraction * n)
    if not 0 < m < n:
        raise InputError(
            f"subset fraction {fraction} of {n} examples leaves {m} in and {n - m} out; "
            "both must be at least 1"
        )
    return m


def draw_subset(root: jax.Array, trial: jax.Array, n: int, m: int) -> jax.Array:
    """The m distinct examples of one trial, in random order: int32 [m]."""
    key = trial_key(root, Purpose.SUBSET, trial)
    return jax.random.permutation(key, jnp.arange(n, dtype=jnp.int32))[:m]


def most_drawn(n: int, fraction: float) -> int:
    """How many of n coins of this chance may come up: ten standard deviations above it.

    A subset of more is cut, and its mask says so.
    """
    mean = n * fraction
    return max(1, min(n, math.ceil(mean + 10 * math.sqrt(mean * (1 - fraction)))))


def draw_bernoulli(root: jax.Array, trial: jax.Array, n: int, fraction: float) -> Subset:
    """The examples of one trial, each drawn with this chance alone."""
    bits = jax.random.bits(trial_key(root, Purpose.SUBSET, trial), (n,), jnp.uint32)
    drawn = bits < jnp.uint32(min(round(fraction * 2**32), 2**32 - 1))
    most = most_drawn(n, fraction)
    index = jnp.nonzero(drawn, size=most, fill_value=0)[0].astype(jnp.int32)
    count = jnp.minimum(jnp.sum(drawn, dtype=jnp.int32), most)
    return Subset(jnp.where(jnp.arange(most) < count, index, index[0]), count)


def most_balanced(n: int, m: int) -> int:
    """How many trials a balanced run can have: places in its walk are uint32."""
    return (2**32 - 1 - 2 * n) // min(m, n - m)


def draw_balanced(root: jax.Array, trial: jax.Array, n: int, m: int) -> jax.Array:
    """The m distinct examples of one trial of a balanced run: int32 [m], sorted."""
    piece = min(m, n - m)
    start = trial.astype(jnp.uint32) * jnp.uint32(piece)
    number, offset = start // n, (start % n).astype(jnp.int32)
    # A piece that begins at the end of one pass goes on at the beginning of the next.
    walk = jnp.concatenate(
        [_pass(root, number, n, piece), _pass(root, number + 1, n, piece)]
    )
    taken = inclusion_mask(jax.lax.dynamic_slice_in_dim(walk, offset, piece), n)
    return jnp.nonzero(taken if piece == m else ~taken, size=m)[0].astype(jnp.int32)


def _pass(root: jax.Array, number: jax.Array, n: int, piece: int) -> jax.Array:
    """The order of all n examples in one pass, int32 [n].

    It begins by completing the piece that the pass before left unfinished, and must not
    repeat that piece's examples there: they change places with the first others that come
    later, but not with those that the next pass will have to complete. At least one whole
    piece lies between, so there are enough.

    With n = 5 and pieces of 2, pass 0 = [3 1 | 4 0 | 2] leaves a piece with 2 alone. If
    pass 1 was shuffled to [2 4 0 1 3], its first place would complete that piece by 2
    itself: 2 and 4, the first other, change places: [4 | 2 0 | 1 3]. Pass 0 follows no
    pass: nothing is left over, and what number - 1 wraps around to is not looked at.
    """

    def shuffled(number):
        key = jax.random.fold_in(purpose_key(root, Purpose.BALANCED_SUBSET), number)
        return jax.random.permutation(key, jnp.arange(n, dtype=jnp.int32))

    def left_over(number):  # examples of the piece that is unfinished when a pass begins
        return (number * jnp.uint32(n) % jnp.uint32(piece)).astype(jnp.int32)

    place, left = jnp.arange(n), left_over(number)
    order, before = shuffled(number), shuffled(number - 1)
    used = jnp.zeros(n, bool).at[before].set(place >= n - left)[order]
    begin = jnp.where(left > 0, piece - left, 0)
    repeated = (place < begin) & used
    free = (place >= begin) & (place < n - left_over(number + 1)) & ~used
    repeated, free = (jnp.nonzero(x, size=piece, fill_value=n)[0] for x in (repeated, free))
    free = jnp.where(repeated < n, free, n)  # one for each that is repeated
    exchanged = order.at[repeated].set(order[free], mode="drop")
    return exchanged.at[free].set(order[repeated], mode="drop")


def given_subset(masks: jax.Array, trial: jax.Array, n: int, m: int) -> jax.Array:
    """The m examples in one trial's row of bits, uint8 [T, ceil(n / 8)]: int32 [m]."""
    mask = jnp.unpackbits(masks[trial], count=n)
    return jnp.nonzero(mask, size=m)[0].astype(jnp.int32)


def inclusion_mask(subset_m: jax.Array, n: int) -> jax.Array:
    """The same subset as a mask over all n examples: bool [n]."""
    return jnp.zeros(n, bool).at[subset_m].set(True)


class Removal(NamedTuple):
    """Inclusion masks of R trainings without some examples, and without as many others."""

    chosen: np.ndarray  # bool [R, N], all rows the same
    random: np.ndarray  # bool [R, N], drawn anew in every row


def removal_masks(removed: np.ndarray, repetitions: int, seed: int = 0) -> Removal:
    """Leave out the examples of removed, bool [N], or as many at random.

    Random ones come from all N examples, the removed among them, as in the paper's
    Figure 2. They depend on (seed, repetition, number removed) alone. Raises InputError if
    nothing is left.
    """
    removed = np.asarray(removed, bool)
    n, count = removed.size, int(removed.sum())
    if count == n:
        raise InputError(f"all {n} examples would be removed; take a higher threshold")
    random = np.ones((repetitions, n), bool)
    for repetition, row in enumerate(random):
        rng = np.random.default_rng([seed, repetition, count])
        row[rng.choice(n, count, replace=False)] = False
    return Removal(np.tile(~removed, (repetitions, 1)), random)


def candidate_masks(
    candidates: np.ndarray, trials: int, fraction: float = 0.5, seed: int = 0
) -> np.ndarray:
    """Hold out candidates, bool [N], alone: masks bool [trials, N] for `run_trials`.

    Each trial sees round(fraction * C) of the C candidates and everything else, so that mem
    of the candidates is that of subsets larger than the paper's. A half, and not 70 %,
    gives the smallest standard errors. Rows depend on (seed, trial, C) alone. Raises
    InputError if a side would be empty.
    """
    candidates = np.asarray(candidates, bool)
    rows = np.flatnonzero(candidates)
    out = rows.size - round(fraction * rows.size)
    if not 0 < out < rows.size:
        raise InputError(
            f"fraction {fraction} of {rows.size} candidates leaves a side empty; hold out "
            "more examples, or give another fraction"
        )
    masks = np.ones((trials, candidates.size), bool)
    for trial, mask in enumerate(masks):
        rng = np.random.default_rng([seed, trial, rows.size])
        mask[rng.choice(rows, out, replace=False)] = False
    return masks
