"""What bfloat16 products do to memorization.

    python experiments/compare_precision.py
    python experiments/compare_precision.py --dataset=mnist --rows=5000 --models=cnn

Trains the same trials (same subsets, initial parameters and shuffles) in float32 and in
bfloat16, and in float32 with another seed as the yardstick: how far two estimates of the
same precision are apart. Reports accuracies, memorized examples and the root mean square
difference of mem, beside its standard error. Two minutes on two cores for 600 trials each.
"""

import numpy as np
from experiment import command, parser, setting

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


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=600).parse_args(argv)
    this = setting("compare_precision", args)
    numbers = {}
    for model in this.models:
        exact = this.train(model, f"{model}-float32", width=1)
        rounded = this.train(model, f"{model}-bfloat16", width=1, precision="bfloat16")
        other = this.train(model, f"{model}-float32-other", width=1, seed=this.seed + 1)
        numbers[model] = {
            "median_standard_error": float(np.nanmedian(exact.memorization_se)),
            "rms_standard_error": float(np.sqrt(np.nanmean(exact.memorization_se**2))),
            "bfloat16": apart(exact, rounded),
            "float32_other_seed": apart(exact, other),
        }
    this.save({"precision": numbers}, {})


if __name__ == "__main__":
    command(main)
