"""What makes a learning algorithm memorize: width, weight decay, smoothing, subset size.

    python experiments/knobs.py                            # digits, 10 minutes
    python experiments/knobs.py --dataset=mnist --trials=200

Changes one knob of the recipe at a time; shows how many examples have mem >= 0.25 and the
test accuracy. Expect smaller subsets to raise mem, since an example then has fewer
neighbours; and whatever makes models worse on what they have not seen (too few units,
too much weight decay), as long as they still fit what they have.
"""

import numpy as np
from curves import Panel, Series, draw
from experiment import command, parser, setting

KNOBS = {
    "hidden": [(16,), (48,), (96,), (192,), (384,)],
    "weight_decay": [0.0, 1e-4, 1e-3, 3e-3, 1e-2],
    "label_smoothing": [0.0, 0.1, 0.2, 0.4, 0.6],
    "subset_fraction": [0.1, 0.3, 0.5, 0.7, 0.9],
}


def main(argv: list[str] | None) -> None:
    args = parser(__doc__, models="mlp", trials=1000).parse_args(argv)
    this = setting("knobs", args)
    pictures, tables = {}, {}
    for model in this.models:
        rows = [
            measure(this, model, knob, value)
            for knob, values in KNOBS.items()
            for value in values
            if knob != "hidden" or model == "mlp"
        ]
        columns = zip(*(row.values() for row in rows), strict=True)
        tables[model] = dict(zip(rows[0], map(np.array, columns), strict=True))
        pictures[model] = picture(tables[model])
    rows = {
        model: [
            dict(zip(t, map(as_json, row), strict=True))
            for row in zip(*t.values(), strict=True)
        ]
        for model, t in tables.items()
    }
    this.save({"knobs": rows}, pictures, tables)


def measure(this, model: str, knob: str, value) -> dict:
    """Train with one knob turned; returns a row of the table."""
    text = "x".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
    run = this.train(model, f"{model}-{knob}-{text}", **{knob: value})
    return {
        "knob": knob,
        "value": text,
        "memorized": int((run.memorization >= 0.25).sum()),
        "test_accuracy": float(run.test_accuracy.mean()),
        "test_accuracy_std": float(run.test_accuracy.std()),
        "train_accuracy": float(run.train_accuracy.mean()),
    }


def as_json(value):
    return value.item() if isinstance(value, np.generic) else value


def picture(table: dict[str, np.ndarray]):
    """A column of panels a knob: memorized examples above, test accuracy below."""
    knobs = list(dict.fromkeys(table["knob"].tolist()))
    panels = []
    for share in (False, True):
        for knob in knobs:
            here = table["knob"] == knob
            ticks = table["value"][here].tolist()
            x = range(len(ticks))
            if share:
                spread = table["test_accuracy_std"][here]
                line = Series(None, x, table["test_accuracy"][here], spread)
                panels.append(
                    Panel(knob.replace("_", " "), "test accuracy", [line], True, ticks)
                )
            else:
                line = Series(None, x, table["memorized"][here])
                panels.append(
                    Panel(knob.replace("_", " "), "memorized", [line], False, ticks)
                )
    return draw(panels, len(knobs))


if __name__ == "__main__":
    command(main)
