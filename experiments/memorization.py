"""Figures 1 and 3: who is memorized, and how much.

    python experiments/memorization.py                                  # digits, 2 minutes
    python experiments/memorization.py --dataset=mnist --trials=4000    # the paper's size

Per model: training examples of each class with mem near 0, near 0.5 and near 1; histograms
of mem over all training examples and of infl over the selected pairs (infl >= 0.15,
mem >= 0.25). Expect a spike at mem = 0 and a long tail of it: typical examples on the left
of Figure 1, odd and mislabelled ones on its right. A table has mem of every example.
"""

import numpy as np
from experiment import command, parser, setting

from jaxmem.estimates.results import Run
from jaxmem.reporting import figures


def numbers_of(run: Run) -> dict:
    """What the histograms show, of one model."""
    mem = run.memorization[np.isfinite(run.memorization)]
    counts, edges = np.histogram(mem.clip(0, 1), bins=np.linspace(0, 1, 11))
    pairs = run.pairs()
    return {
        "trials": int(run.trials.size),
        "test_accuracy": [float(run.test_accuracy.mean()), float(run.test_accuracy.std())],
        "train_accuracy": float(run.train_accuracy.mean()),
        "memorized": int((mem >= 0.25).sum()),
        "memorized_share": float((mem >= 0.25).mean()),
        "mem_below_0.05_share": float((mem < 0.05).mean()),
        "median_se_of_memorized": float(
            np.median(run.memorization_se[run.memorization >= 0.25])
        )
        if (mem >= 0.25).any()
        else None,
        "histogram_edges": [round(float(edge), 1) for edge in edges],
        "histogram": counts.tolist(),
        "pairs": int(pairs.infl.size),
        "highest_infl": float(pairs.infl.max(initial=0)),
    }


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=4000).parse_args(argv)
    this = setting("memorization", args)
    numbers, pictures, tables = {}, {}, {}
    for model in this.models:
        run = this.train(model, model)
        numbers[model] = numbers_of(run)
        pictures[f"{model}_examples"] = figures.examples(run.memorization, this.data)
        pictures[f"{model}_histogram"] = figures.histogram(run.memorization, 0.25)
        pictures[f"{model}_influence_histogram"] = figures.influence_histogram(
            run.pairs().infl, 0.15
        )
        tables[f"{model}_mem"] = {
            "id": run.tr_ids,
            "label": run.tr_labels,
            "mem": run.memorization,
            "se": run.memorization_se,
        }
    this.save({"estimates": numbers}, pictures, tables)


if __name__ == "__main__":
    command(main)
