"""Is the recipe of data without one of their own good on anything small?

    python experiments/general_recipe.py --data-dir=../shared/tfds

scikit-learn's tables and digits as rows, in three splits each, and the first 5,000 rows of
MNIST as one's own arrays. Models see 70 % of the training rows; scikit-learn's see all of
them, as given and standardised, and the best counts.
"""

import tempfile
import time
import warnings

import numpy as np
import sklearn.datasets
from experiment import command, parser, save
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxmem

TABLES = ("iris", "wine", "breast_cancer", "digits")
SPLITS = 3
WRONG = 0.1


def main(argv: list[str] | None) -> None:
    """Run the experiment."""
    args = parser(__doc__, trials=16).parse_args(argv)
    numbers = {}
    for table in TABLES:
        x, y = getattr(sklearn.datasets, f"load_{table}")(return_X_y=True)
        splits = [
            train_test_split(x, y, test_size=0.25, stratify=y, random_state=seed)
            for seed in range(SPLITS)
        ]
        numbers[f"{table}, mlp"] = compare(splits, "mlp", args.trials)
    digits = jaxmem.load_dataset("digits")
    split = digits.train.images, digits.test.images
    split += digits.train.labels, digits.test.labels
    numbers["digits as pictures, mlp"] = compare([split], "mlp", args.trials)
    mnist = jaxmem.load_dataset("mnist", args.data_dir)
    rows = slice(5000)
    split = mnist.train.images[rows], mnist.test.images
    split += mnist.train.labels[rows], mnist.test.labels
    for model in ("mlp", "cnn", "vit"):
        numbers[f"mnist-5000, {model}"] = compare([split], model, args.trials)
    save("general_recipe", {"trials": args.trials, "table": numbers})


def compare(splits: list[tuple], model: str, trials: int) -> dict[str, float]:
    """Mean accuracies over splits (x_train, x_test, y_train, y_test)."""
    start = time.perf_counter()
    ours = np.array([train(split, model, trials) for split in splits])
    seconds = time.perf_counter() - start
    flipped = np.array([train_flipped(split, model, trials) for split in splits])
    best = np.mean([best_of_sklearn(split) for split in splits])
    fitted, test = ours.mean(axis=0)
    numbers = {
        "train_accuracy": fitted,
        "test_accuracy": test,
        "best_of_sklearn": best,
        "points_behind": 100 * (best - test),
        "wrong_labels_fitted": flipped[:, 0].mean(),
        "their_median_mem": flipped[:, 1].mean(),
        "seconds": round(seconds),
    }
    print(model, splits[0][0].shape, numbers, flush=True)
    return {name: float(value) for name, value in numbers.items()}


def train(split: tuple, model: str, trials: int) -> tuple[float, float]:
    """Mean accuracy of our models on what they saw, and on the test rows."""
    x_train, x_test, y_train, y_test = split
    data = jaxmem.make_dataset("own", x_train, y_train, x_test, y_test)
    with tempfile.TemporaryDirectory() as folder:
        run = jaxmem.run_trials(data, trials, f"{folder}/run", model=model)
        return run.train_accuracy.mean(), run.test_accuracy.mean()


def train_flipped(split: tuple, model: str, trials: int) -> tuple[float, float]:
    """The share of wrong labels that models fit of those they saw; median mem of all."""
    x_train, x_test, y_train, y_test = split
    rng = np.random.default_rng(0)
    rows = rng.choice(len(y_train), round(WRONG * len(y_train)), replace=False)
    classes = int(y_train.max()) + 1
    y_train = y_train.copy()
    y_train[rows] = (y_train[rows] + rng.integers(1, classes, len(rows))) % classes
    data = jaxmem.make_dataset("own", x_train, y_train, x_test, y_test)
    with tempfile.TemporaryDirectory() as folder:
        run = jaxmem.run_trials(data, trials, f"{folder}/run", model=model)
        seen, right = run.included[:, rows], run.train_correct[:, rows]
        return right[seen].mean(), np.nanmedian(run.memorization[rows])


def best_of_sklearn(split: tuple) -> float:
    """The best test accuracy of four models that see all training rows."""
    x_train, x_test, y_train, y_test = split
    x_train, x_test = (
        x.reshape(len(x), -1) / (255 if x.dtype == np.uint8 else 1)
        for x in (x_train, x_test)
    )
    models = [
        LogisticRegression(max_iter=2000),
        MLPClassifier(max_iter=500, random_state=0),
    ]
    models += [make_pipeline(StandardScaler(), m) for m in models]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return max(m.fit(x_train, y_train).score(x_test, y_test) for m in models)


if __name__ == "__main__":
    command(main)
