"""What it brings that malloc keeps freed memory, on a CPU.

    python experiments/benchmark_allocation.py --data-dir=../shared/tfds

Networks train in processes of their own, in their recipes' batches, with glibc as it comes
(MALLOC_ARENA_MAX=0) and as `keep_freed_memory` sets it, in turns. Reports examples a
second, pages that Linux zeroed for each example, and the peak of memory. Takes ten minutes
on two cores; writes experiments/results/benchmark_allocation.json.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys

import jax
from benchmark_convolution import call_of, make
from benchmark_training import seconds
from experiment import command, save

import jaxmem

# Dataset, models side by side on a device, batch, and steps in a call.
NETWORKS = {
    "mlp": ("mnist", 16, 128, 100),
    "cnn": ("mnist", 4, 128, 40),
    "resnet9": ("cifar100", 1, 512, 1),
    "airbench": ("cifar100", 1, 1024, 1),
    "resnet18": ("cifar100", 1, 512, 1),
}
CALLS = 3


def measure(name: str, data_dir: str | None) -> dict[str, float]:
    """Of one network in this process."""
    dataset, width, batch, steps = NETWORKS[name]
    ensemble = make(name, jaxmem.load_dataset(dataset, data_dir), batch, steps)
    examples, call = call_of(ensemble, width)
    jax.block_until_ready(call())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    times = [seconds(call) for _ in range(CALLS)]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "examples_per_second": examples / min(times),
        "pages_per_example": (usage.ru_minflt - before) / examples / CALLS,
        "peak_gib": usage.ru_maxrss / 2**20,
    }


def main(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where TFDS keeps MNIST and CIFAR-100")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", help="measure this network here, and print it")
    args = parser.parse_args(argv)
    if args.only:
        print(json.dumps(measure(args.only, args.data_dir)))
        return
    found = {}
    for name in args.networks.split(","):
        turns: dict[str, list] = {"as_it_comes": [], "kept": []}
        for _ in range(args.turns):
            for way, runs in turns.items():
                environment = {k: v for k, v in os.environ.items() if "MALLOC" not in k}
                if way == "as_it_comes":
                    environment["MALLOC_ARENA_MAX"] = "0"
                out = subprocess.run(
                    [sys.executable, *sys.argv, f"--only={name}"],
                    env=environment,
                    check=True,
                    stdout=subprocess.PIPE,
                )
                runs.append(json.loads(out.stdout.splitlines()[-1]))
        medians = {
            way: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for way, runs in turns.items()
        }
        ratios = [
            kept["examples_per_second"] / came["examples_per_second"]
            for came, kept in zip(*turns.values(), strict=True)
        ]
        found[name] = {**medians, "speedup_of_turns": ratios}
        print(name, json.dumps(found[name], indent=2), flush=True)
    save("benchmark_allocation", {"turns": args.turns, "networks": found})


if __name__ == "__main__":
    command(main)
