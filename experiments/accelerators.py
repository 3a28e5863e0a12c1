"""What jaxmem's programs would do on accelerators, read off what their compilers make.

    python experiments/accelerators.py --targets=h100                  # with jax[cuda13]
    python experiments/accelerators.py --targets=v5e:2x2,v5e:4x4       # with jax[tpu]

No device is needed (`ahead_of_time.py` says what to install). For each network, width and
precision: operations and bytes of a training step, memory, on a TPU the cycles that its
compiler expects, and what follows for 4,000 trials: the slowest of operations at the peak,
bytes at the memory's bandwidth, and cycles. Merged into results/accelerators.json.
"""

import argparse
import json
import time

import ahead_of_time
from benchmark_convolution import flop_per_example
from experiment import RESULTS, command, write

# Peaks of a device: bfloat16 and float32 (TF32) products a second, bytes a second, cycles.
PEAKS = {
    "h100": {"bfloat16": 989e12, "float32": 494e12, "bytes": 3.35e12, "cycles": None},
    "v5e": {"bfloat16": 197e12, "float32": 197e12 / 3, "bytes": 819e9, "cycles": 1.5e9},
}
CASES = (
    ("mnist", "mlp", "float32", (1, 16)),
    ("mnist", "cnn", "bfloat16", (1, 16)),
    ("cifar100", "airbench", "bfloat16", (1, 4)),
    ("cifar100", "resnet9", "bfloat16", (1, 4)),
    ("cifar100", "resnet18", "bfloat16", (1,)),
    ("cifar100", "resnet50", "bfloat16", (1,)),
)
TRIALS = 4000


def look(target: str, dataset: str, model: str, precision: str, width: int) -> dict:
    """Figures of one program for one kind of device."""
    job = ahead_of_time.job_of(dataset, model, precision=precision)
    devices = ahead_of_time.devices_of(target)
    started = time.perf_counter()
    programs = ahead_of_time.compile_for(devices, dataset, job, width)
    text = ahead_of_time.Text.of(programs.train)
    step, recipe = text.step(), job.learner.recipe
    batch = job.subsets.size / job.steps
    flop = batch * flop_per_example(job.learner.model, ahead_of_time.SIZES[dataset][2])
    peaks = PEAKS[target.split(":")[0]]
    seconds = {
        "operations": flop / peaks[precision],
        "bytes": text.nbytes(step) / width / peaks["bytes"],
    }
    if peaks["cycles"]:
        seconds["cycles"] = text.cycles(step) / width / peaks["cycles"]
    memory = programs.train.memory_analysis()
    floats = [
        i for i in text.convolutions() if precision == "bfloat16" and "bf16" not in i.line
    ]
    return {
        "compile_seconds": round(time.perf_counter() - started),
        "batch": round(batch, 1),
        "gflop_a_model_step": flop / 1e9,
        "gigabytes_a_model_step": text.nbytes(step) / width / 1e9,
        "ms_a_model_step": {why: 1e3 * each for why, each in seconds.items()},
        "memory_gigabytes": (memory.argument_size_in_bytes + memory.temp_size_in_bytes)
        / 1e9,
        "float32_convolutions": len(floats),
        "collectives": sum(word in programs.train.as_text() for word in COLLECTIVES),
        "hours_of_4000_trials": {
            "devices": len(devices),
            "training": max(seconds.values())
            * job.steps
            * recipe.epochs
            * TRIALS
            / len(devices)
            / 3600,
        },
    }


COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "collective-permute",
    "all-to-all",
    "reduce-scatter",
)


def main(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", default="h100", help="as in v5e:2x2,v5e:4x4")
    parser.add_argument("--models", help="some of them, as in cnn,resnet9")
    args = parser.parse_args(argv)
    path = RESULTS / "accelerators.json"
    found = json.loads(path.read_text())["programs"] if path.exists() else {}
    for target in args.targets.split(","):
        for dataset, model, precision, widths in CASES:
            if args.models and model not in args.models.split(","):
                continue
            for width in widths:
                key = f"{target}, {dataset}, {model}, {precision}, width {width}"
                found[key] = look(target, dataset, model, precision, width)
                print(key, json.dumps(found[key], indent=1), flush=True)
                write(path, {"programs": found})


if __name__ == "__main__":
    command(main)
