"""Judge other people's attribution scores by a run's trials.

Scores say how much training examples help test examples, [N, E], or that they are wrong,
rare or memorized, [N]; a run's trials say what happened where examples were left out.
Judge a method that was itself fitted to trials on others: `jaxmem.disjoint_trials`.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from jaxmem._shared.arguments import one_of, whole
from jaxmem.errors import InputError
from jaxmem.estimates.detection import detection
from jaxmem.estimates.disjoint import subset_numbers
from jaxmem.estimates.results import Run
from jaxmem.estimates.statistics import Interval

LEAST_SUBSETS = 10
RESAMPLES = 200


class Lds(NamedTuple):
    """A linear datamodeling score, of S subsets and E test examples."""

    value: Interval  # the mean over test examples
    by_test: np.ndarray  # float64 [E]
    ceiling: float | None  # what the truth would score; None where no subset is repeated
    subsets: int  # S
    trainings: float  # a subset, on average


def lds(
    run: Run,
    scores: np.ndarray,
    axis: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Lds:
    """How well sums of scores rank the margins of models trained on subsets.

    Park, Georgiev, Ilyas, Leclerc & Madry, "TRAK" (ICML 2023, arXiv 2303.14186), the linear
    datamodeling score: of each test example, Spearman's correlation over subsets S of
    sum over i in S of scores[i] with the mean margin of the models trained on S; then the
    mean over test examples. Where a test example's sums are all equal, they rank nothing,
    and count as 0.

    scores: float [N, E], or [E, N] with axis=1, the axis of training examples; higher:
    helps more. Trials of equal subsets, as of `run_trials(masks=)` with repeated rows, are
    one subset, by its mean margin. If so, `ceiling` is the correlation that the subsets'
    true means would have with the means of so many trainings: the square root of their
    reliability, by halves (Spearman 1910, Brown 1910: 2r / (1 + r)), the mean over test
    examples. The interval is of a bootstrap over subsets and over test examples together,
    which keeps the ranks of all subsets, and is wide rather than narrow.

    Raises InputError without margins, for scores of another shape or with NaN, and for
    fewer than 10 subsets.
    """
    scores = _matrix(run, scores, axis)
    resamples, level = whole("resamples", resamples, least=1), _level(level)
    subset, margin = subset_numbers(run), run.test_margin.astype(np.float64)
    first, count = np.unique(subset, return_index=True, return_counts=True)[1:]
    if first.size < LEAST_SUBSETS:
        raise InputError(
            f"{first.size} subsets are too few to judge by: {LEAST_SUBSETS} at least"
        )
    truth = _means(margin, subset, first.size)
    predicted = run.included[first].astype(np.float64) @ scores
    x, y = _standard_ranks(predicted), _standard_ranks(truth)
    by_test = (x * y).mean(axis=0)
    rng = np.random.default_rng(seed)
    drawn = [_resampled(x, y, rng) for _ in range(resamples)]
    return Lds(
        _interval(by_test.mean(), drawn, level),
        by_test,
        _ceiling(margin, subset, count, rng),
        int(first.size),
        float(count.mean()),
    )


def _matrix(run: Run, scores: np.ndarray, axis: int) -> np.ndarray:
    scores = np.asarray(scores)
    one_of("axis", str(axis), ("0", "1"))
    n, e = run.tr_labels.size, run.tt_labels.size
    if scores.shape != ((e, n) if axis else (n, e)):
        turned = scores.shape == ((n, e) if axis else (e, n))
        hint = f"; give axis={1 - axis}" if turned else ""
        names = "[E, N]" if axis else "[N, E]"
        expected = [e, n] if axis else [n, e]
        raise InputError(
            f"scores of shape {list(scores.shape)}: expected {names} = {expected}{hint}"
        )
    _finite(scores)
    return (scores.T if axis else scores).astype(np.float64)


def _finite(scores: np.ndarray) -> None:
    if scores.dtype.kind not in "fiub":
        raise InputError(f"scores are {scores.dtype}; expected numbers")
    if strange := int((~np.isfinite(scores)).sum()):
        raise InputError(f"{strange:,} of {scores.size:,} scores are NaN or infinite")


def _means(margin: np.ndarray, subset: np.ndarray, subsets: int) -> np.ndarray:
    """Mean margins of subsets, float64 [S, E]; NaN of those without a trial."""
    total = np.zeros((subsets, margin.shape[1]))
    np.add.at(total, subset, margin)
    with np.errstate(invalid="ignore"):
        return total / np.bincount(subset, minlength=subsets)[:, None]


def _standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the first axis, of mean 0 and variance 1; 0 where all are equal."""
    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0)
    spread = ranks.std(axis=0)
    return ranks / np.where(spread > 0, spread, 1)


def _resampled(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> float:
    """The mean correlation of resampled rows and columns of x and y, [S, E]."""
    rows, columns = (rng.multinomial(size, np.full(size, 1 / size)) for size in x.shape)
    weight = rows / rows.sum()
    mean_x, mean_y = weight @ x, weight @ y
    spread = (weight @ x**2 - mean_x**2).clip(0) * (weight @ y**2 - mean_y**2).clip(0)
    together = weight @ (x * y) - mean_x * mean_y
    of_column = np.where(spread > 1e-20, together / np.sqrt(spread.clip(1e-20)), 0)
    return float(columns @ of_column / columns.sum())


def _ceiling(margin, subset, count, rng: np.random.Generator) -> float | None:
    """The correlation of true means with those of `count` trainings, by halves."""
    repeated = np.flatnonzero(count > 1)
    if repeated.size < LEAST_SUBSETS:
        return None
    # Trainings of a subset are dealt to two halves in turn, in random order.
    order = rng.permutation(subset.size)
    order = order[np.argsort(subset[order], kind="stable")]
    place = np.arange(subset.size) - np.repeat(np.cumsum(count) - count, count)
    halves = []
    for half in (0, 1):
        rows = order[place % 2 == half]
        halves.append(_means(margin[rows], subset[rows], count.size)[repeated])
    r = (_standard_ranks(halves[0]) * _standard_ranks(halves[1])).mean(axis=0).clip(0)
    return float(np.sqrt(2 * r / (1 + r)).mean())


class Correlations(NamedTuple):
    """How scores go with a quantity; intervals are of a bootstrap over examples."""

    pearson: Interval
    spearman: Interval


def mem_correlation(
    run: Run,
    scores: np.ndarray,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Correlations:
    """How scores of training examples, float [N], go with memorization.

    Feldman & Zhang 2020 (arXiv 2008.03703), equation 1, is what `run.memorization`
    estimates; examples without an estimate take no part. mem's own noise lowers both
    correlations. Raises InputError for scores of another shape, with NaN or all equal.
    """
    scores, mem = _vector(run, scores), run.memorization
    known = np.isfinite(mem)
    if known.sum() < 2 or np.ptp(scores[known]) == 0 or np.ptp(mem[known]) == 0:
        raise InputError("scores or mem are all equal: they have no correlation")
    pair = np.stack([scores[known], mem[known]])
    ranked = rankdata(pair, axis=1)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(whole("resamples", resamples, least=1)):
        rows = rng.integers(pair.shape[1], size=pair.shape[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn.append([np.corrcoef(p[:, rows])[0, 1] for p in (pair, ranked)])
    return Correlations(
        *(
            _interval(np.corrcoef(p)[0, 1], column, _level(level))
            for p, column in zip((pair, ranked), np.transpose(drawn), strict=True)
        )
    )


def wrong_label_auc(
    run: Run,
    scores: np.ndarray,
    wrong: np.ndarray,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """How well scores, float [N], find wrong labels, bool [N]: area under the ROC curve.

    As Pruthi, Liu, Kale & Sundararajan judge self-influence (TracIn, NeurIPS 2020, arXiv
    2002.08484); 0.5 is chance; ties count half. The interval is of a bootstrap over
    examples, of wrong and right ones separately. Raises InputError for other shapes, NaN,
    and unless some, but not all, are wrong.
    """
    scores, wrong = _vector(run, scores), np.asarray(wrong)
    if wrong.dtype != bool or wrong.shape != scores.shape:
        raise InputError(
            f"wrong is {wrong.dtype} {list(wrong.shape)}; expected bool [{scores.size}]"
        )
    found = detection(scores, wrong).auc
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(wrong == kind) for kind in (False, True)]
    drawn = []
    for _ in range(whole("resamples", resamples, least=1)):
        rows = np.concatenate([rng.choice(group, group.size) for group in groups])
        drawn.append(detection(scores[rows], wrong[rows]).auc)
    return _interval(found, drawn, _level(level))


def _vector(run: Run, scores: np.ndarray) -> np.ndarray:
    scores, n = np.asarray(scores), run.tr_labels.size
    if scores.shape != (n,):
        raise InputError(f"scores of shape {list(scores.shape)}: expected [N] = [{n}]")
    _finite(scores)
    return scores.astype(np.float64)


def _interval(value: float, drawn, level: float) -> Interval:
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"level {level} is outside (0, 1)")
    return float(level)
