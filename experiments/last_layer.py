"""Is it the last layer that memorizes? Linear models on the features of one network.

    python experiments/last_layer.py                                       # digits
    python experiments/last_layer.py --dataset=mnist --trials=4000

Trains one network on all data, takes what its last dense layer is given, and runs linear
models on random subsets of that; beside them full networks on the same subsets. Expect the
linear models to be as good as the network and better than networks on subsets, and to
memorize almost nothing, since the features have seen every example. CIFAR-100 in the paper:
75.8 % (linear), 75.9 % (network), 72.3 % (networks on subsets); 38 examples with
mem >= 0.25 against 18,099. Digits takes 3 minutes on two cores.

Full networks may be fewer than linear models (--linear-trials). Of a few, mem of single
examples says nothing, but its mean does: the accuracy on examples that they saw less that
on those that they did not.
"""

import numpy as np
from curves import Panel, Series, draw
from experiment import command, parser, setting

import jaxmem

LINEAR = {"epochs": 30, "learning_rate": 0.01, "schedule": "linear", "batch_size": 64}
LINEAR |= {"weight_decay": 0.0, "standardize": False}  # features are standardised already
FEW = 30  # trials below which no example's mem is counted


def main(argv: list[str] | None) -> None:
    flags = parser(__doc__, models="mlp", trials=4000)
    text = "linear models (default: as many as networks)"
    flags.add_argument("--linear-trials", type=int, help=text)
    args = flags.parse_args(argv)
    this = setting("last_layer", args)
    numbers, pictures = {}, {}
    for model in this.models:
        everything = np.ones((1, this.data.train.labels.size), bool)
        network = this.train(model, f"{model}-whole", masks=everything, keep_models=True)
        features = standardized(jaxmem.extract_features(network.workdir, this.data))
        how = {"trials": args.linear_trials or this.trials, **LINEAR}
        how |= this.recipes.get("linear", {})
        linear = this.train("linear", f"{model}-last-layer", features, **how)
        full = this.train(model, model)
        numbers[model] = {
            "features": int(features.train.images.size // features.train.labels.size),
            "network_test_accuracy": float(network.test_accuracy[0]),
            "network_train_accuracy": float(network.train_accuracy[0]),
            "linear": summary(linear),
            "full_networks_on_subsets": summary(full),
        }
        pictures[model] = picture(linear, full)
    this.save({"last_layer": numbers}, pictures)


def standardized(data: jaxmem.Dataset) -> jaxmem.Dataset:
    """Features with mean 0 and variance 1 over the training set; constant ones stay 0."""
    mean, std = data.train.images.mean(0), data.train.images.std(0)
    std[std == 0] = 1

    def scale(examples):
        return examples._replace(images=(examples.images - mean) / std)

    return data._replace(train=scale(data.train), test=scale(data.test))


def summary(run: jaxmem.Run) -> dict:
    many = run.trials.size >= FEW
    return {
        "trials": int(run.trials.size),
        "test_accuracy": [float(run.test_accuracy.mean()), float(run.test_accuracy.std())],
        "train_accuracy": float(run.train_accuracy.mean()),
        "accuracy_on_excluded": float(run.train_correct[~run.included].mean()),
        "memorized": int((run.memorization >= 0.25).sum()) if many else None,
        "highest_mem": float(np.nanmax(run.memorization)) if many else None,
    }


def picture(linear: jaxmem.Run, full: jaxmem.Run):
    """How many examples have at least a memorization, under each."""
    thresholds = np.arange(0.05, 1.0, 0.05)

    def counts(run):
        return np.array([(run.memorization >= t).sum() for t in thresholds])

    names = {"full networks": full, "linear models on one network's features": linear}
    lines = [
        Series(name, thresholds, counts(run))
        for name, run in names.items()
        if run.trials.size >= FEW
    ]
    return draw([Panel("θ", "examples with mem ≥ θ", lines)], 1)


if __name__ == "__main__":
    command(main)
