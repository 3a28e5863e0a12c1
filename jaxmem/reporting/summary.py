"""A run in a dozen lines: summary.json, and the table that commands print."""

import time
from typing import NamedTuple

import numpy as np

from jaxmem.data import count_duplicates
from jaxmem.estimates.learning import learning_warning
from jaxmem.estimates.merging import repeated_subsets
from jaxmem.estimates.pairs import Pairs
from jaxmem.estimates.results import Run
from jaxmem.estimates.search import MEMORY, MOST_TRIALS


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
    memorized: int
    without_estimate: int
    median_se: float | None  # of mem, of all examples; None where it is not known
    median_se_memorized: float | None
    pairs: int  # of high influence
    train_examples_in_pairs: int
    test_examples_in_pairs: int
    discoveries_in_pairs: int | None  # None: not counted
    all_pairs: int  # N x E
    duplicates_in_train: int
    duplicates_of_train_in_test: int
    warnings: list[str]
    seconds: float  # of the command


def summarize(
    run: Run,
    pairs: Pairs,
    mem_threshold: float,
    memory: float = MEMORY,
    start: float | None = None,
    level: float | None = None,
) -> Summary:
    """Sum up a run.

    memory: GiB that the search for discoveries may take. start: time.perf_counter() when
    the command began. level: `run.discovery_p`, where it is known.
    """
    start = time.perf_counter() if start is None else start
    mem, se = run.memorization, run.memorization_se
    memorized = mem >= mem_threshold
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
        training_examples=int(mem.size),
        memorized=int(memorized.sum()),
        without_estimate=int(np.isnan(mem).sum()),
        median_se=_median(se),
        median_se_memorized=_median(se[memorized]),
        pairs=int(pairs.infl.size),
        train_examples_in_pairs=int(np.unique(pairs.tr_idx).size),
        test_examples_in_pairs=int(np.unique(pairs.tt_idx).size),
        discoveries_in_pairs=int((pairs.infl_p <= level).sum()) if searched else None,
        all_pairs=int(mem.size) * int(run.tt_labels.size),
        duplicates_in_train=duplicates.train,
        duplicates_of_train_in_test=duplicates.train_test,
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
    share = s.memorized / s.training_examples
    damaged = f", {s.damaged} damaged" if s.damaged else ""
    planned = s.trials + s.diverged + s.damaged + s.missing
    of = f" of {planned:,}" if s.missing else ""
    rows = {
        "trials": f"{s.trials:,}{of} ({s.diverged} diverged{damaged})",
        "train accuracy": f"{s.train_accuracy:.2%} ± {s.train_accuracy_std:.2%}",
        "test accuracy": f"{s.test_accuracy:.2%} ± {s.test_accuracy_std:.2%}",
        "memorized examples": f"{s.memorized:,} of {s.training_examples:,} "
        f"({share:.2%}), {s.without_estimate} without estimate",
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
        "wall time": f"{s.seconds:.0f} s",
        **more,
    }
    for name, value in rows.items():
        print(f"{name:<23}{value}")
    for line in s.warnings:
        print(f"{'warning':<23}{line}")


def _show(se: float | None) -> str:
    return "–" if se is None else f"{se:.4f}"
