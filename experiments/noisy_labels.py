"""Does memorization find wrong labels, and does it help to remove what it finds?

    python experiments/noisy_labels.py                     # digits, 10 minutes
    python experiments/noisy_labels.py --dataset=mnist --rows=10000 --trials=400

Gives 0 to 20 % of the training examples another label, at random, and estimates mem on the
noisy labels. Shows how well mem finds the wrong ones (area under ROC, precision at their
number), and the test accuracy when training on all, without mem >= 0.25, without as
many at random, and without exactly the wrong ones. Expect mem to find nearly all, and their
removal to win back what the noise has cost; without noise, removal costs a little.
"""

import numpy as np
from curves import Panel, Series, draw
from experiment import command, parser, setting

import jaxmem
from jaxmem.estimates.detection import detection

SHARES = (0.0, 0.02, 0.05, 0.1, 0.2)


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=1000, repetitions=50).parse_args(argv)
    this = setting("noisy_labels", args)
    pictures, tables = {}, {}
    for model in this.models:
        rows = [measure(this, model, share) for share in SHARES]
        tables[model] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        pictures[model] = picture(tables[model])
    numbers = {
        m: {k: [round(v, 6) for v in c.tolist()] for k, c in t.items()}
        for m, t in tables.items()
    }
    this.save({"noisy_labels": numbers}, pictures, tables)


def flip(
    data: jaxmem.Dataset, share: float, seed: int
) -> tuple[jaxmem.Dataset, np.ndarray]:
    """Data with round(share · N) training labels changed, and which: bool [N].

    A changed label is any other class, equally likely.
    """
    rng = np.random.default_rng(seed)
    labels = data.train.labels.copy()
    wrong = np.zeros(labels.size, bool)
    wrong[rng.permutation(labels.size)[: round(share * labels.size)]] = True
    shift = rng.integers(1, data.num_classes, labels.size, dtype=labels.dtype)
    labels[wrong] = (labels + shift)[wrong] % data.num_classes
    return data._replace(train=data.train._replace(labels=labels)), wrong


def measure(this, model: str, share: float) -> dict[str, float]:
    """One share of wrong labels; returns a row of the table."""
    noisy, wrong = flip(this.data, share, this.seed)
    run = this.train(model, f"{model}-flipped-{share:g}", noisy)
    memorized = run.memorization >= 0.25
    whole, _ = this.accuracy_without(model, np.zeros_like(wrong), noisy)
    without, random = this.accuracy_without(model, memorized, noisy)
    clean, _ = this.accuracy_without(model, wrong, noisy)
    found = detection(run.memorization, wrong) if wrong.any() else (np.nan, np.nan)
    arms = {
        "all": whole,
        "without_mem": without,
        "without_random": random,
        "without_wrong": clean,
    }
    return {
        "flipped_share": share,
        "flipped": int(wrong.sum()),
        "auc": found[0],
        "precision": found[1],
        "memorized": int(memorized.sum()),
        "memorized_flipped": int((memorized & wrong).sum()),
        **{f"accuracy_{name}": float(a.mean()) for name, a in arms.items()},
        **{f"std_{name}": float(a.std()) for name, a in arms.items()},
    }


def picture(table: dict[str, np.ndarray]):
    """Detection on the left, accuracy on the right, against the share of wrong labels."""
    x = table["flipped_share"]
    labels = {
        "all": "all",
        "without_mem": "without mem ≥ 0.25",
        "without_random": "without as many at random",
        "without_wrong": "without the wrong ones",
    }
    found = [
        Series("area under ROC", x, table["auc"]),
        Series("precision", x, table["precision"]),
    ]
    accuracies = [
        Series(label, x, table[f"accuracy_{name}"], table[f"std_{name}"])
        for name, label in labels.items()
    ]
    return draw(
        [
            Panel("share of wrong labels", "mem as a detector", found),
            Panel("share of wrong labels", "test accuracy", accuracies, percent=True),
        ],
        2,
    )


if __name__ == "__main__":
    command(main)
