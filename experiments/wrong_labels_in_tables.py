"""How many wrong labels of a table are found, by what score, in how many seconds?

    python experiments/wrong_labels_in_tables.py   # some minutes on two cores

scikit-learn's breast_cancer as CSV, and digits as rows, with 5 % of the training labels
exchanged. General recipe; linear models and MLPs see 70 % of the training rows each.
"""

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import sklearn.datasets
from experiment import command, save

import jaxmem
from jaxmem._shared.devices import cores

SHARE = 0.05


def tables(folder: Path) -> dict[str, jaxmem.Dataset]:
    """The data, with right labels: breast_cancer through a CSV file, digits as rows."""
    found = sklearn.datasets.load_breast_cancer()
    path = folder / "breast_cancer.csv"
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*found.feature_names, "diagnosis"])
        for values, label in zip(found.data.tolist(), found.target, strict=True):
            rows.writerow([*values, found.target_names[label]])
    cancer = jaxmem.load_dataset(path, target_key="diagnosis", test_fraction=0.2)
    train, test = jaxmem.load_dataset("digits")[1:3]
    flat = [part.images.reshape(len(part.images), -1) for part in (train, test)]
    flat = [values.astype(np.float32) for values in flat]
    digits = jaxmem.make_dataset("digits", flat[0], train.labels, flat[1], test.labels)
    return {"breast_cancer": cancer, "digits as rows": digits}


def flip(data: jaxmem.Dataset, seed: int) -> tuple[jaxmem.Dataset, np.ndarray]:
    """SHARE of the training labels as another class, and which: bool [N]."""
    rng = np.random.default_rng(seed)
    labels = data.train.labels.copy()
    rows = rng.choice(labels.size, round(SHARE * labels.size), replace=False)
    labels[rows] += rng.integers(1, data.num_classes, rows.size, np.int32)
    labels %= data.num_classes
    wrong = np.zeros(labels.size, bool)
    wrong[rows] = True
    return data._replace(train=data.train._replace(labels=labels)), wrong


def average_precision(score: np.ndarray, wrong: np.ndarray) -> float:
    """Mean, over the wrong ones, of the precision down to each; NaN scores rank lowest."""
    order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
    hits = wrong[order]
    return float((np.cumsum(hits) / np.arange(1, hits.size + 1))[hits].mean())


def scores_of(run: jaxmem.Run) -> dict[str, np.ndarray]:
    """Higher is more suspect: float64 [N] each."""
    out = ~run.included
    with np.errstate(invalid="ignore", divide="ignore"):
        margin = np.where(out, run.train_margin.astype(np.float64), 0).sum(0) / out.sum(0)
    accuracy = jaxmem.valuation.held_out_accuracy(run)
    scores = {"mem": run.memorization, "accuracy": -accuracy, "margin": -margin}
    return {k if k == "mem" else f"held-out {k}": v for k, v in scores.items()}


def measure(data: jaxmem.Dataset, wrong: np.ndarray, model: str, trials: int) -> dict:
    """Seconds of training, accuracies, and how well each score finds the wrong labels."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = jaxmem.run_trials(
            data,
            trials,
            folder,
            model=model,
            margins=True,
            width=8 if model == "linear" else 1,
        )
        seconds = time.perf_counter() - start
        seen = run.included & wrong
        found = {}
        for name, score in scores_of(run).items():
            top = jaxmem.detection.detection(score, wrong)
            found[name] = {
                "average_precision": average_precision(score, wrong),
                "wrong_among_as_many_first": top.precision * int(wrong.sum()),
            }
        return {
            "trials": trials,
            "seconds": seconds,
            "train_accuracy": float(run.train_accuracy.mean()),
            "test_accuracy": float(run.test_accuracy.mean()),
            "wrong_labels_fitted": float(run.train_correct[seen].mean()),
            "scores": found,
        }


def main(argv: list[str] | None) -> None:
    """Flip, train, rank; write results/wrong_labels_in_tables.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--linear-trials", type=int, default=100, help="default: 100")
    parser.add_argument("--mlp-trials", type=int, default=20, help="default: 20")
    args = parser.parse_args(argv)
    numbers: dict = {"cores": cores(), "load_average_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in tables(Path(folder)).items():
            flipped, wrong = flip(data, seed=0)
            about = {"rows": wrong.size, "wrong": int(wrong.sum())}
            for model in ("linear", "mlp"):
                trials = args.linear_trials if model == "linear" else args.mlp_trials
                about[model] = measure(flipped, wrong, model, trials)
            numbers[name] = about
    print(f"{save('wrong_labels_in_tables', numbers)}\n{numbers}")


if __name__ == "__main__":
    command(main)
