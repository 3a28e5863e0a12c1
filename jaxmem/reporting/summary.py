"""A run in a dozen lines: summary.json, and the table that commands print."""

import time
from typing import NamedTuple

import numpy as np

from jaxmem.data import count_duplicates
from jaxmem.data.neighbours import Neighbours
from jaxmem.estimates.grouping import units
from jaxmem.estimates.learning import learning_warning
from jaxmem.estimates.merging import repeated_subsets
from jaxmem.estimates.pairs import Pairs
from jaxmem.estimates.results import Run
from jaxmem.estimates.search import MEMORY, MOST_TRIALS

NAMED = 5  # examples that have near-copies, in the table; summary.json has all


class Summary(NamedTuple):
    """What a run found: summary.json, and the table."""

    trials: int
    diverged: int
    damaged: int
    missing: int  # that the workdir has room for
    train_accuracy: float  # mean and standard deviation over trials
    train_accuracy_std: float
    test_accuracy: float
    test_accuracy_std: float
    training_examples: int
    groups: int | None  # where mem is a group's; memorized and without_estimate count them
    memorized: int
    without_estimate: int
    always_in: int  # of these
    never_in: int
    median_se: float | None  # of mem, of all examples; None where it is not known
    median_se_memorized: float | None
    pairs: int  # of high influence
    train_examples_in_pairs: int
    test_examples_in_pairs: int
    discoveries_in_pairs: int | None  # None: not counted
    all_pairs: int  # training examples with an estimate, or their groups, times E
    duplicates_in_train: int
    duplicates_of_train_in_test: int
    near_copies: list[str] | None  # names of what has one in train, outside its group
    warnings: list[str]
    seconds: float  # of the command


def summarize(
    run: Run,
    pairs: Pairs,
    mem_threshold: float,
    memory: float = MEMORY,
    start: float | None = None,
    level: float | None = None,
    alike: Neighbours | None = None,
) -> Summary:
    """Sum up a run.

    memory: GiB that the search for discoveries may take. start: time.perf_counter() when
    the command began. level: `run.discovery_p`, where it is known. alike: the nearest
    training examples of each, by which near-copies are known.
    """
    start = time.perf_counter() if start is None else start
    rows = units(run)
    mem, se = run.memorization[rows], run.memorization_se[rows]
    _, n_in, _, n_out = (np.asarray(count)[rows] for count in run.memorization_counts)
    known, memorized = int(np.isfinite(mem).sum()), mem >= mem_threshold
    copied = None if alike is None else alike.copied(run.tr_groups)
    duplicates = count_duplicates(run.tr_ids, run.tt_ids)
    searched = run.trials.size <= MOST_TRIALS
    if level is None:
        level = run.discovery_p(memory=memory) if searched else np.nan
    return Summary(
        trials=int(run.trials.size),
        diverged=run.diverged,
        damaged=int(run.damage.trials.size),
        missing=run.missing,
        train_accuracy=float(np.nanmean(run.train_accuracy)),
        train_accuracy_std=float(np.nanstd(run.train_accuracy)),
        test_accuracy=float(run.test_accuracy.mean()),
        test_accuracy_std=float(run.test_accuracy.std()),
        training_examples=int(run.tr_labels.size),
        groups=None if run.tr_groups is None else int(rows.size),
        memorized=int(memorized.sum()),
        without_estimate=int(mem.size) - known,
        always_in=int((n_out == 0).sum()),
        never_in=int((n_in == 0).sum()),
        median_se=_median(se),
        median_se_memorized=_median(se[memorized]),
        pairs=int(pairs.infl.size),
        train_examples_in_pairs=int(np.unique(pairs.tr_idx).size),
        test_examples_in_pairs=int(np.unique(pairs.tt_idx).size),
        discoveries_in_pairs=int((pairs.infl_p <= level).sum()) if searched else None,
        all_pairs=known * int(run.tt_labels.size),
        duplicates_in_train=duplicates.train,
        duplicates_of_train_in_test=duplicates.train_test,
        near_copies=None if copied is None else run.tr_names[copied].tolist(),
        warnings=_warnings(run, searched),
        seconds=round(time.perf_counter() - start, 1),
    )


def _median(se: np.ndarray) -> float | None:
    """The median of what is known; None where nothing is."""
    known = se[np.isfinite(se)]
    return float(np.median(known)) if known.size else None


def _warnings(run: Run, searched: bool) -> list[str]:
    """What makes the estimates worth less than they look."""
    repeated = repeated_subsets(run)
    lines = [
        learning_warning(run.train_accuracy, run.tr_labels),
        f"left out as damaged: {run.damage}; `python -m jaxmem.run` with the same flags "
        "trains them again"
        if run.damage.trials.size
        else None,
        f"{repeated:,} of {run.trials.size:,} trials repeat another's subset; standard "
        "errors and discoveries take them as independent, and are too sure"
        if repeated
        else None,
        None if searched else f"discoveries are not counted beyond {MOST_TRIALS:,} trials",
    ]
    return [line for line in lines if line]


def print_table(summary: Summary, more: dict[str, str]) -> None:
    """Print a summary, with further lines below it."""
    s = summary
    what, units = ("groups", s.groups) if s.groups else ("examples", s.training_examples)
    known = units - s.without_estimate
    damaged = f", {s.damaged} damaged" if s.damaged else ""
    planned = s.trials + s.diverged + s.damaged + s.missing
    of = f" of {planned:,}" if s.missing else ""
    rows = {
        "trials": f"{s.trials:,}{of} ({s.diverged} diverged{damaged})",
        "train accuracy": f"{s.train_accuracy:.2%} ± {s.train_accuracy_std:.2%}",
        "test accuracy": f"{s.test_accuracy:.2%} ± {s.test_accuracy_std:.2%}",
        f"memorized {what}": f"{s.memorized:,} of {known:,} "
        f"({s.memorized / max(known, 1):.2%}), {_lacking(s)}",
        "standard error of mem": f"{_show(s.median_se_memorized)} (median of the "
        f"memorized), {_show(s.median_se)} (of all)",
        "high-influence pairs": f"{s.pairs:,}, of {s.train_examples_in_pairs:,} train and "
        f"{s.test_examples_in_pairs:,} test examples",
        "discoveries": "not counted"
        if s.discoveries_in_pairs is None
        else f"{s.discoveries_in_pairs:,} of these pairs; of all discoveries among the "
        f"{s.all_pairs:,} possible pairs, 5% are expected to be false",
        "duplicates": f"{s.duplicates_in_train} in train, "
        f"{s.duplicates_of_train_in_test} of test also in train",
        "near-copies": _near_copies(s.near_copies),
        "wall time": f"{s.seconds:.0f} s",
        **more,
    }
    for name, value in rows.items():
        print(f"{name:<23}{value}")
    for line in s.warnings:
        print(f"{'warning':<23}{line}")


def _lacking(s: Summary) -> str:
    """How many have no estimate, and why."""
    why = {"always in": s.always_in, "never in": s.never_in}
    parts = [f"{count:,} {where}" for where, count in why.items() if count]
    return ", ".join(parts) or "0 without estimate"


def _near_copies(names: list[str] | None) -> str:
    """What near-copies may hide, by name."""
    if names is None:
        return "not looked for"
    if not names:
        return "of no example in train"
    more = f" and {len(names) - NAMED:,} others" if len(names) > NAMED else ""
    return (
        f"of {len(names):,} in train, whose mem they may hide: "
        f"{', '.join(names[:NAMED])}{more}"
    )


def _show(se: float | None) -> str:
    return "–" if se is None else f"{se:.4f}"
