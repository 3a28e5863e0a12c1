"""Which score finds wrong labels best: mem, soft mem, held-out accuracy or cleanlab's?

    pip install 'jaxmem[tests]'                 # has cleanlab
    python experiments/detectors.py             # digits, 3 % flipped, 5 times; 4 minutes

Gives 3 % of the training examples another label, at random, and trains on the noisy data.
All detectors read the same trials: mem, mem of probabilities, held-out accuracy (data-OOB)
and cleanlab's scores of our out-of-sample probabilities. Shows the area under ROC, and the
precision at the number of flips, against the number of trials; and what
`cleanlab.filter.find_label_issues` reports of its own accord. Averages over repetitions,
each with other flips.
"""

import dataclasses

import numpy as np
from curves import Panel, Series, draw
from experiment import command, parser, setting
from noisy_labels import flip

import jaxmem
from jaxmem.estimates.detection import detection
from jaxmem.estimates.soft import out_of_sample_probabilities, soft_memorization
from jaxmem.estimates.valuation import held_out_accuracy

SHARE = 0.03
COUNTS = (25, 50, 100, 250, 1000)
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=1000, repetitions=5).parse_args(argv)
    try:
        import cleanlab  # noqa: F401
    except ImportError:
        raise jaxmem.InputError("needs cleanlab: pip install cleanlab") from None
    this = setting("detectors", args)
    counts = [c for c in COUNTS if c < this.trials] + [this.trials]
    numbers, pictures, tables = {}, {}, {}
    for model in this.models:
        rows, issues = [], []
        for repetition in range(this.repetitions):
            noisy, wrong = flip(this.data, SHARE, this.seed + repetition)
            run = this.train(
                model,
                f"{model}-flipped-{SHARE:g}-{repetition}",
                noisy,
                seed=this.seed + repetition,
                margins=True,
                probabilities=True,
            )
            for count in counts:
                part = dataclasses.replace(run, trials=run.trials[:count])
                found = {k: detection(s, wrong) for k, s in scores(part).items()}
                rows += [(count, name, *values) for name, values in found.items()]
            issues.append(label_issues(run, wrong))
        tables[model] = mean_and_spread(rows)
        pictures[model] = picture(tables[model])
        table = zip(*(column.tolist() for column in tables[model].values()), strict=True)
        reported = {k: float(np.mean([i[k] for i in issues])) for k in issues[0]}
        numbers[model] = {
            "flipped": int(wrong.sum()),
            "detectors": [dict(zip(tables[model], row, strict=True)) for row in table],
            "find_label_issues": reported,
        }
    this.save(numbers, pictures, tables)


def scores(run: jaxmem.Run) -> dict[str, np.ndarray]:
    """What each detector says, float [N], high for wrong labels; NaN where it cannot."""
    from cleanlab.rank import get_label_quality_scores

    found = {
        "mem": run.memorization,
        "soft mem": soft_memorization(run).value,
        "held-out accuracy": -held_out_accuracy(run),
    }
    probabilities = out_of_sample_probabilities(run)
    known = np.isfinite(probabilities[:, 0])
    for method in CLEANLAB:
        quality = np.full(known.size, np.nan)
        quality[known] = get_label_quality_scores(
            run.tr_labels[known], probabilities[known], method=method
        )
        found[f"cleanlab {method.replace('_', ' ')}"] = -quality
    return found


def label_issues(run: jaxmem.Run, wrong: np.ndarray) -> dict[str, float]:
    """What cleanlab reports with its default settings."""
    from cleanlab.filter import find_label_issues

    issues = find_label_issues(run.tr_labels, out_of_sample_probabilities(run), n_jobs=1)
    right = (issues & wrong).sum()
    return {
        "reported": float(issues.sum()),
        "precision": float(right / max(issues.sum(), 1)),
        "recall": float(right / wrong.sum()),
    }


def mean_and_spread(rows: list[tuple]) -> dict[str, np.ndarray]:
    """Rows (trials, detector, AUC, precision), averaged over repetitions."""
    table = {}
    for count, name, *values in rows:
        table.setdefault((count, name), []).append(values)
    columns = ("trials", "detector", "auc", "precision", "std_auc", "std_precision")
    means = [
        (*key, *np.mean(found, axis=0).tolist(), *np.std(found, axis=0).tolist())
        for key, found in table.items()
    ]
    return dict(zip(columns, map(np.array, zip(*means, strict=True)), strict=True))


def picture(table: dict[str, np.ndarray]):
    """Area under ROC on the left, precision on the right, against trials."""
    panels = []
    for value, label in (("auc", "area under ROC"), ("precision", "precision")):
        lines = []
        for name in dict.fromkeys(table["detector"].tolist()):
            here = table["detector"] == name
            x, y = table["trials"][here], table[value][here]
            lines.append(Series(name if value == "auc" else None, x, y))
        panels.append(Panel("trials", label, lines, log_x=True))
    return draw(panels, 2)


if __name__ == "__main__":
    command(main)
