"""Figure 2: what memorized examples are worth.

    python experiments/marginal_utility.py                                     # digits
    python experiments/marginal_utility.py --dataset=mnist --repetitions=100   # the paper

For each threshold θ, trains without the examples of mem >= θ and without as many random
ones, `repetitions` times each; random ones are drawn anew each time. Shows test accuracy,
mean and one standard deviation, and below it the share of the training set that remains.
Expect the accuracy to fall more without memorized examples than without random ones, most
so at low θ. The threshold above 1 removes nothing: both curves meet there. Digits takes 4
minutes on two cores, most of it for the 4,000 trials of mem.
"""

import numpy as np
from curves import Panel, Series, draw
from experiment import command, parser, setting
from scipy.stats import ttest_ind

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=4000, repetitions=100).parse_args(argv)
    this = setting("marginal_utility", args)
    numbers, pictures, tables = {}, {}, {}
    for model in this.models:
        run = this.train(model, model)
        remain, chosen, random = [], [], []
        for threshold in THRESHOLDS:
            removed = run.memorization >= threshold
            without, without_random = this.accuracy_without(model, removed)
            remain.append(1 - removed.mean())
            chosen.append(without)
            random.append(without_random)
        table = {
            "threshold": np.array(THRESHOLDS),
            "remaining": np.array(remain),
            **columns("memorized", chosen),
            **columns("random", random),
            # Welch's test of equal means
            "p": np.array(
                [
                    ttest_ind(*arms, equal_var=False).pvalue
                    for arms in zip(chosen, random, strict=True)
                ]
            ),
        }
        tables[model] = table
        numbers[model] = {
            "estimate_trials": int(run.trials.size),
            **{name: [float(f"{v:.6g}") for v in column] for name, column in table.items()},
        }
        pictures[model] = draw(
            [
                Panel(
                    "",
                    "test accuracy",
                    [
                        Series(
                            "without mem ≥ θ",
                            THRESHOLDS,
                            table["memorized_mean"],
                            table["memorized_std"],
                        ),
                        Series(
                            "without as many at random",
                            THRESHOLDS,
                            table["random_mean"],
                            table["random_std"],
                        ),
                    ],
                    percent=True,
                ),
                Panel(
                    "memorization threshold θ",
                    "remaining",
                    [Series(None, THRESHOLDS, table["remaining"])],
                    percent=True,
                    height=0.6,
                ),
            ],
            columns=1,
            share_x=True,
        )
    this.save({"curves": numbers}, pictures, tables)


def columns(name: str, accuracies: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each, as columns of a table."""
    return {
        f"{name}_mean": np.array([a.mean() for a in accuracies], np.float64),
        f"{name}_std": np.array([a.std() for a in accuracies], np.float64),
    }


if __name__ == "__main__":
    command(main)
