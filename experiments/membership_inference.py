"""How many members are found, by how many shadow models? (ours; after Carlini et al. 2022)

    python experiments/membership_inference.py                              # digits
    python experiments/membership_inference.py --dataset=mnist --rows=5000 --trials=160

Trials on halves of the training set attack each other: all of them, and in groups of 16, of
which each is attacked by the other 15, as in the README of tensorflow/privacy's
mi_lira_2021. Shows ROC curves, true-positive rates at 0.1 % false positives with intervals
(95 %, targets and examples resampled), and how mem goes with exposure, the share of the
targets that saw an example in which it is found at that rate. Expect one variance for all
examples to find several times as many members as one of each example's own where models
are 16 (the README: 0.0593 and 0.0169 on CIFAR-10), and fewer where they are many. Digits
takes half a minute on two cores.
"""

import numpy as np
from curves import Panel, Series, draw
from experiment import command, parser, setting
from scipy.stats import spearmanr

from jaxmem.estimates.membership import lira_scores, rmia_scores, threshold_scores
from jaxmem.estimates.privacy import exposure, measure_attack

FEW = 16  # models
RATE = 0.001
ATTACKS = {
    "lira": lambda run: lira_scores(run, variance="per-example"),
    "lira-fixed": lambda run: lira_scores(run, variance="fixed"),
    "lira-offline": lambda run: lira_scores(run, attack="offline", variance="per-example"),
    "lira-offline-fixed": lambda run: lira_scores(run, attack="offline", variance="fixed"),
    "rmia": rmia_scores,
    "rmia-offline": lambda run: rmia_scores(run, attack="offline"),
    "threshold": threshold_scores,
}


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=400).parse_args(argv)
    this = setting("membership_inference", args)
    numbers, pictures, tables = {}, {}, {}
    for model in this.models:
        folder = f"{model}-margins"
        run = this.train(model, folder, margins=True, subset_fraction=0.5)
        groups = [
            run.select(run.trials[start : start + FEW])
            for start in range(0, run.trials.size - FEW + 1, FEW)
        ]
        panels, found = [], {}
        for models, runs in ((FEW, groups), (run.trials.size, [run])):
            members = np.concatenate([part.included for part in runs])
            series, of_models = [], {}
            for name, attack in ATTACKS.items():
                scores = np.concatenate([attack(part) for part in runs])
                rates = measure_attack(scores, members, rates=(RATE,))
                of_models[name] = numbers_of(rates, exposure(scores, members, RATE), run)
                series.append(Series(None if panels else name, *rates.roc))
                tables[f"{model}_{models}_{name}"] = {
                    **rates.roc._asdict(),
                    "low": rates.low,
                    "high": rates.high,
                }
            found[f"{models} models"] = of_models
            title = f"{models} models: false-positive rate"
            panels.append(Panel(title, "true-positive rate", series))
        numbers[model] = {
            "test_accuracy": float(run.test_accuracy.mean()),
            "train_accuracy": float(run.train_accuracy.mean()),
            **found,
        }
        picture = draw(panels, 2)
        for axes in picture.axes:
            axes.set(xscale="log", yscale="log", xlim=(1e-5, 1), ylim=(1e-5, 1))
            for line in axes.lines:
                line.set(marker="", linewidth=1, drawstyle="steps-post")
        pictures[f"{model}_roc"] = picture
    this.save({"attacks": numbers}, pictures, tables)


def numbers_of(rates, exposed: np.ndarray, run) -> dict:
    """What is said of an attack."""
    known = np.isfinite(exposed) & np.isfinite(run.memorization)
    pair = exposed[known], run.memorization[known]
    constant = np.ptp(pair[0]) == 0
    return {
        "auc": round(rates.auc.value, 4),
        "balanced_accuracy": round(rates.balanced_accuracy.value, 4),
        "tpr_at_0.1%": [round(float(v), 5) for v in rates.true_positive_rate[RATE]],
        "pearson_of_mem_and_exposure": None
        if constant
        else round(float(np.corrcoef(*pair)[0, 1]), 3),
        "spearman": None if constant else round(float(spearmanr(*pair).statistic), 3),
    }


if __name__ == "__main__":
    command(main)
