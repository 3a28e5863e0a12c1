"""What it costs to store learning dynamics: seconds of training, with and without.

    python experiments/benchmark_dynamics.py --data-dir=../shared/tfds

Takes some minutes on two cores. An epoch of MNIST with the demo's `mlp` and with `cnn`,
digits with `mlp` (30 epochs), packed and masked, from the device and from the host; in
turns, in one process. Writes results/benchmark_dynamics.json.
"""

import argparse
import time

import jax
import numpy as np
from experiment import command, save

import jaxmem
from jaxmem.models import Spec, make_model
from jaxmem.training.ensemble import Ensemble, make_ensemble
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.outcomes import DYNAMICS
from jaxmem.training.recipes import recipe_for
from jaxmem.training.subsets import SubsetRule, subset_size

TURNS = 7
WAYS = {"without": ("test_accuracy",), "with": ("test_accuracy", *sorted(DYNAMICS))}


def ensemble_of(data, model, epochs, batching, placement, quantities) -> Ensemble:
    """Some epochs of the dataset's own recipe."""
    n = data.train.labels.size
    rule = SubsetRule(n, subset_size(n, 0.7))
    recipe = recipe_for(data.recipes, model, rule.size, epochs=epochs, warmup=0.0)
    network = make_model(model, Spec(data.num_classes, recipe.hidden))
    job = make_job(network, recipe, batching, rule, data.num_classes, quantities)
    return make_ensemble(job, data, root_key(0), placement=placement)


def compare(data, model, epochs, width, batching, placement) -> dict:
    """Seconds of training and evaluating `width` models a device, medians of turns."""
    trains = {}
    for way, quantities in WAYS.items():
        ensemble = ensemble_of(data, model, epochs, batching, placement, quantities)
        trains[way] = trainer(ensemble, width)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for way in WAYS:
        trains[way]()  # compiles
    for turn in range(TURNS):
        for way in sorted(WAYS, reverse=turn % 2 == 0):
            seconds[way].append(trains[way]())
    ratios = np.array(seconds["with"]) / np.array(seconds["without"])
    return {
        "data": data.name,
        "model": model,
        "epochs": epochs,
        "width": width,
        "batching": batching,
        "placement": placement,
        "seconds_without": float(np.median(seconds["without"])),
        "with_to_without": float(np.median(ratios)),
        "of_turns": ratios.tolist(),
    }


def trainer(ensemble: Ensemble, width: int):
    """Train and evaluate a block; returns the seconds that took."""
    programs, job = ensemble.programs(width), ensemble.job
    trials = ensemble.place(np.arange(ensemble.mesh.size * width, dtype=np.int32))
    last = job.learner.recipe.epochs * job.steps

    def train() -> float:
        states = jax.block_until_ready(programs.init(trials))
        start = time.perf_counter()
        states = programs.advance(trials, states, 0, last)
        jax.block_until_ready(programs.evaluate(trials, states))
        return time.perf_counter() - start

    return train


def main(argv: list[str] | None = None) -> None:
    """Compare, and write results/benchmark_dynamics.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="of TFDS")
    args = parser.parse_args(argv)
    mnist = jaxmem.load_dataset("mnist", data_dir=args.data_dir)
    digits = jaxmem.load_dataset("digits")
    rows = []
    for case in (
        (digits, "mlp", 30, 1, "packed", "device"),
        (digits, "mlp", 30, 4, "masked", "device"),
        (mnist, "mlp", 1, 1, "packed", "device"),
        (mnist, "mlp", 1, 1, "packed", "host"),
        (mnist, "cnn", 1, 1, "packed", "device"),
    ):
        rows.append(compare(*case))
        print(rows[-1], flush=True)
    print(save("benchmark_dynamics", {"rows": rows}))


if __name__ == "__main__":
    command(main)
