"""Figure 7: do other architectures memorize the same examples?

    python experiments/consistency.py                                          # digits
    python experiments/consistency.py --dataset=cifar100 \\
        --models=resnet50,resnet18,inception,densenet100 --trials=4000         # the paper

Trains every model on the same subsets, the first one twice: with another seed for what is
not the subset. Against the first: J (Jaccard index) and D (mean difference over the union)
of the examples with mem >= θ, and of the pairs with infl >= θ and mem >= 0.25. Expect the
same architecture to be the ceiling of J and the floor of D, similar architectures next, and
J to fall with θ. Digits at 4,000 trials takes a quarter of an hour on two cores.
"""

import numpy as np
from curves import Panel, Series, draw
from experiment import command, parser, setting

from jaxmem.estimates.agreement import influence_agreement, memorization_agreement

MEM = np.round(np.arange(0.05, 0.96, 0.05), 2)
INFL = np.round(np.arange(0.05, 0.51, 0.05), 2)


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp,cnn,linear", trials=1000).parse_args(argv)
    this = setting("consistency", args)
    first = this.train(this.models[0], this.models[0])
    masks = first.included
    others = {
        f"{this.models[0]}, other seed": this.train(
            this.models[0], f"{this.models[0]}-again", masks=masks, seed=this.seed + 1
        )
    }
    for model in this.models[1:]:
        others[model] = this.train(model, model)

    tables, numbers = {}, {this.models[0]: summary(first)}
    series: dict[str, list[Series]] = {
        name: [] for name in ("J_mem", "D_mem", "J_infl", "D_infl")
    }
    for name, run in others.items():
        mem = memorization_agreement(first, run, MEM)
        infl = influence_agreement(first, run, INFL)
        numbers[name] = summary(run) | {
            f"{kind}_at_{at}": value(found, at)
            for found, at, j, d in (
                (mem, 0.25, "J_mem", "D_mem"),
                (infl, 0.15, "J_infl", "D_infl"),
            )
            for kind, value in ((j, jaccard), (d, distance))
        }
        label = (
            f"{name}: {numbers[name]['pairs']} pairs, {numbers[name]['test_accuracy']:.1%}"
        )
        series["J_mem"].append(Series(label, MEM, mem.jaccard))
        series["D_mem"].append(Series(None, MEM, mem.distance))
        series["J_infl"].append(Series(None, INFL, infl.jaccard))
        series["D_infl"].append(Series(None, INFL, infl.distance))
        for kind, found in (("mem", mem), ("infl", infl)):
            tables[f"{kind}_{name.replace(', ', '-').replace(' ', '-')}"] = found._asdict()
    panels = [
        Panel("threshold θ of mem" if "mem" in name else "threshold θ of infl", name, lines)
        for name, lines in series.items()
    ]
    this.save({"agreement_with_first": numbers}, {"agreement": draw(panels, 2)}, tables)


def summary(run) -> dict:
    """What the legend says of a model."""
    return {
        "trials": int(run.trials.size),
        "test_accuracy": float(run.test_accuracy.mean()),
        "train_accuracy": float(run.train_accuracy.mean()),
        "memorized": int((run.memorization >= 0.25).sum()),
        "pairs": int(run.pairs().infl.size),
    }


def jaccard(found, threshold: float) -> float | None:
    return _at(found, found.jaccard, threshold)


def distance(found, threshold: float) -> float | None:
    return _at(found, found.distance, threshold)


def _at(found, values: np.ndarray, threshold: float) -> float | None:
    value = values[found.thresholds == threshold].item()
    return None if np.isnan(value) else round(value, 4)


if __name__ == "__main__":
    command(main)
