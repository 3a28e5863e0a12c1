"""What bfloat16 products do to memorization.

    python experiments/compare_precision.py

Trains the same trials (same subsets, initial parameters and shuffles) in float32 and in
bfloat16, and in float32 with another seed as the yardstick: how far two estimates of the
same precision are apart. Reports accuracies, memorized examples and the root mean square
difference of mem, beside its standard error. Two minutes on two cores for 600 trials each;
writes experiments/results/compare_precision_<device>.json.
"""

import argparse

import jax
import numpy as np
from experiment import save

import jaxmem


def apart(a: jaxmem.Run, b: jaxmem.Run, threshold: float = 0.25) -> dict:
    """How far two runs' estimates of mem are apart."""
    known = np.isfinite(a.memorization) & np.isfinite(b.memorization)
    difference = (a.memorization - b.memorization)[known]
    one, other = a.memorization >= threshold, b.memorization >= threshold
    return {
        "rms_difference_of_mem": float(np.sqrt(np.mean(difference**2))),
        "largest_difference_of_mem": float(np.abs(difference).max()),
        "memorized": [int(one.sum()), int(other.sum())],
        "memorized_shared": int((one & other).sum()),
        "test_accuracy": [float(run.test_accuracy.mean()) for run in (a, b)],
        "outcomes_that_differ": float(np.mean(a.test_correct != b.test_correct)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", help="where TFDS keeps it")
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--trials", type=int, default=600)
    parser.add_argument("--workdir", default="runs/compare-precision")
    args = parser.parse_args()
    data = jaxmem.load_dataset(args.dataset, args.data_dir)

    def run(name: str, **arguments) -> jaxmem.Run:
        workdir = f"{args.workdir}/{name}"
        return jaxmem.run_trials(
            data, args.trials, workdir, model=args.model, width=1, **arguments
        )

    exact, rounded = run("float32"), run("bfloat16", precision="bfloat16")
    other = run("float32-other-seed", seed=1)
    numbers = {
        "dataset": args.dataset,
        "model": args.model,
        "trials": args.trials,
        "median_standard_error": float(np.nanmedian(exact.memorization_se)),
        "rms_standard_error": float(np.sqrt(np.nanmean(exact.memorization_se**2))),
        "bfloat16": apart(exact, rounded),
        "float32_other_seed": apart(exact, other),
    }
    print(save(f"compare_precision_{jax.default_backend()}", numbers).read_text())


if __name__ == "__main__":
    main()
