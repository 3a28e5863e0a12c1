"""A run in a dozen lines: summary.json, and the table that commands print."""

from typing import Any

import numpy as np

from jaxmem.data import count_duplicates
from jaxmem.estimates.learning import learning_warning
from jaxmem.estimates.merging import repeated_subsets
from jaxmem.estimates.pairs import Pairs
from jaxmem.estimates.results import Run
from jaxmem.estimates.search import MEMORY, MOST_TRIALS


def summarize(
    run: Run, pairs: Pairs, mem_threshold: float, memory: float = MEMORY
) -> dict[str, Any]:
    """The figures of the table, and of summary.json; memory: GiB, of Run.discovery_p."""
    mem, se = run.memorization, run.memorization_se
    memorized = mem >= mem_threshold
    duplicates = count_duplicates(run.tr_ids, run.tt_ids)
    known = run.trials.size <= MOST_TRIALS
    level = run.discovery_p(memory=memory) if known else np.nan
    return {
        "trials": int(run.trials.size),
        "diverged": run.diverged,
        "damaged": int(run.damage.trials.size),
        "train accuracy": float(np.nanmean(run.train_accuracy)),
        "train accuracy std": float(np.nanstd(run.train_accuracy)),
        "test accuracy": float(run.test_accuracy.mean()),
        "test accuracy std": float(run.test_accuracy.std()),
        "training examples": int(mem.size),
        "memorized": int(memorized.sum()),
        "without estimate": int(np.isnan(mem).sum()),
        "median standard error": _median(se),
        "median standard error of memorized": _median(se[memorized]),
        "pairs": int(pairs.infl.size),
        "train examples in pairs": int(np.unique(pairs.tr_idx).size),
        "test examples in pairs": int(np.unique(pairs.tt_idx).size),
        "pairs that are discoveries": int((pairs.infl_p <= level).sum()) if known else None,
        "all pairs": int(mem.size) * int(run.tt_labels.size),
        "duplicates in train": duplicates.train,
        "duplicates of train in test": duplicates.train_test,
        "warnings": _warnings(run, known),
    }


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


def print_table(s: dict[str, Any], more: dict[str, str]) -> None:
    """Print a summary, with further lines below it."""
    share = s["memorized"] / s["training examples"]
    found = s["pairs that are discoveries"]
    damaged = f", {s['damaged']} damaged" if s["damaged"] else ""
    rows = {
        "trials": f"{s['trials']:,} ({s['diverged']} diverged{damaged})",
        "train accuracy": f"{s['train accuracy']:.2%} ± {s['train accuracy std']:.2%}",
        "test accuracy": f"{s['test accuracy']:.2%} ± {s['test accuracy std']:.2%}",
        "memorized examples": f"{s['memorized']:,} of {s['training examples']:,} "
        f"({share:.2%}), {s['without estimate']} without estimate",
        "standard error of mem": f"{_show(s['median standard error of memorized'])} "
        f"(median of the memorized), {_show(s['median standard error'])} (of all)",
        "high-influence pairs": f"{s['pairs']:,}, of {s['train examples in pairs']:,} "
        f"train and {s['test examples in pairs']:,} test examples",
        "discoveries": "not counted"
        if found is None
        else f"{found:,} of these pairs; of all discoveries among the {s['all pairs']:,} "
        "possible pairs, 5% are expected to be false",
        "duplicates": f"{s['duplicates in train']} in train, "
        f"{s['duplicates of train in test']} of test also in train",
        "wall time": f"{s['wall seconds']:.0f} s",
        **more,
    }
    for name, value in rows.items():
        print(f"{name:<23}{value}")
    for line in s["warnings"]:
        print(f"{'warning':<23}{line}")


def _show(se: float | None) -> str:
    return "–" if se is None else f"{se:.4f}"
