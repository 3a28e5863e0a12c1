"""Are standard errors right where trials share the order of their batches?

    python experiments/shared_orders.py

`--batching=masked` lets a group of trials (`jaxmem.keys.GROUP`) share each epoch's order.
Seeds are independent: the variance of mem over seeds is held against the standard errors
that each seed reports, and its 95 % intervals against the mean of the other seeds. The
larger the variance is beside the squared errors, the more the sharing costs.
"""

import tempfile

import numpy as np
from experiment import command, parser, save

import jaxmem
from jaxmem.data.dataset import Examples
from jaxmem.training.keys import GROUP

SEEDS, ROWS = 8, 200


def main(argv: list[str] | None) -> None:
    """Run the experiment."""
    args = parser(__doc__, trials=1000).parse_args(argv)
    data = jaxmem.load_dataset("digits")
    data = data._replace(train=Examples(*(a[:ROWS] for a in data.train)))
    numbers = {"group": GROUP, "seeds": SEEDS, "rows": ROWS, "trials": args.trials}
    for batching in ("packed", "masked"):
        with tempfile.TemporaryDirectory() as folder:
            runs = [
                jaxmem.run_trials(
                    data, args.trials, f"{folder}/{seed}", seed=seed, batching=batching
                )
                for seed in range(SEEDS)
            ]
            numbers[batching] = judge(runs)
        print(batching, numbers[batching], flush=True)
    save("shared_orders", numbers)


def judge(runs: list[jaxmem.Run]) -> dict[str, float]:
    """Variance over squared error, and coverage, over the examples that are memorized."""
    mem = np.array([run.memorization for run in runs])
    se = np.array([run.memorization_se for run in runs])
    varying = mem.mean(axis=0) >= 0.02  # at least a little
    ratio = mem.var(axis=0, ddof=1)[varying].sum() / (se**2).mean(axis=0)[varying].sum()
    covered = []
    for k, run in enumerate(runs):
        others = np.delete(mem, k, axis=0).mean(axis=0)
        # The mean of the others has an error too.
        distance = (others - mem[k]) / np.sqrt(1 + 1 / (len(runs) - 1))
        low, high = (bound - mem[k] for bound in run.memorization_interval())
        covered.append(((low <= distance) & (distance <= high))[varying])
    return {
        "examples": int(varying.sum()),
        "variance_over_squared_error": float(ratio),
        "coverage_of_95_percent_intervals": float(np.mean(covered)),
        "train_accuracy": float(np.mean([run.train_accuracy.mean() for run in runs])),
        "test_accuracy": float(np.mean([run.test_accuracy.mean() for run in runs])),
    }


if __name__ == "__main__":
    command(main)
