"""A run in a dozen lines: summary.json, and the table that commands print."""

import numpy as np

from jaxmem.data import count_duplicates
from jaxmem.results import Pairs, Run
from jaxmem.search import MEMORY


def summarize(
    run: Run, pairs: Pairs, mem_threshold: float, memory: float = MEMORY
) -> dict[str, float]:
    """The figures of the table, and of summary.json; memory: GiB, of Run.discovery_p."""
    mem = run.memorization
    duplicates = count_duplicates(run.tr_ids, run.tt_ids)
    return {
        "trials": int(run.trials.size),
        "diverged": run.diverged,
        "train accuracy": float(run.train_accuracy.mean()),
        "train accuracy std": float(run.train_accuracy.std()),
        "test accuracy": float(run.test_accuracy.mean()),
        "test accuracy std": float(run.test_accuracy.std()),
        "training examples": int(mem.size),
        "memorized": int((mem >= mem_threshold).sum()),
        "without estimate": int(np.isnan(mem).sum()),
        "median standard error": float(np.nanmedian(run.memorization_se))
        if np.isfinite(mem).any()
        else float("nan"),
        "pairs": int(pairs.infl.size),
        "train examples in pairs": int(np.unique(pairs.tr_idx).size),
        "test examples in pairs": int(np.unique(pairs.tt_idx).size),
        "pairs that are discoveries": int(
            (pairs.infl_p <= run.discovery_p(memory=memory)).sum()
        ),
        "duplicates in train": duplicates.train,
        "duplicates of train in test": duplicates.train_test,
    }


def print_table(s: dict[str, float], more: dict[str, str]) -> None:
    """Print a summary, with further lines below it."""
    share = s["memorized"] / s["training examples"]
    rows = {
        "trials": f"{s['trials']:,} ({s['diverged']} diverged)",
        "train accuracy": f"{s['train accuracy']:.2%} ± {s['train accuracy std']:.2%}",
        "test accuracy": f"{s['test accuracy']:.2%} ± {s['test accuracy std']:.2%}",
        "memorized examples": f"{s['memorized']:,} of {s['training examples']:,} "
        f"({share:.2%}), {s['without estimate']} without estimate",
        "high-influence pairs": f"{s['pairs']:,}, of {s['train examples in pairs']:,} "
        f"train and {s['test examples in pairs']:,} test examples",
        "discoveries": f"{s['pairs that are discoveries']:,} of these pairs, at a "
        "false-discovery rate of 5% over all N x E",
        "standard error of mem": f"{s['median standard error']:.4f} (median)",
        "duplicates": f"{s['duplicates in train']} in train, "
        f"{s['duplicates of train in test']} of test also in train",
        "wall time": f"{s['wall seconds']:.0f} s",
        **more,
    }
    for name, value in rows.items():
        print(f"{name:<23}{value}")
