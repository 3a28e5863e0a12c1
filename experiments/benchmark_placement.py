"""What it costs to leave the images on the host: rows a second, and memory.

    python experiments/benchmark_placement.py --data-dir=../shared/tfds

Takes about ten minutes on two cores.

Speed: an epoch of MNIST with the demo's `mlp`, and some steps of CIFAR-100 with `resnet9`,
trained from the device and from the host in turns. Memory: two trials of an `mlp` on 4 GB
of uint8 rows in a folder of .npy files, from the host; what the process's own pages take
(Linux's RssAnon, sampled; pages of mapped files are the system's). Writes
results/benchmark_placement.json.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from benchmark_preparation import Memory
from experiment import command, save

import jaxmem
from jaxmem.models import Spec, make_model
from jaxmem.training.ensemble import Ensemble, make_ensemble
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.recipes import recipe_for
from jaxmem.training.subsets import SubsetRule, subset_size

TURNS = 3
SIDE = 64  # pixels of the rows of the memory test


def ensemble_of(data, name: str, placement: str, steps: int | None) -> Ensemble:
    """One epoch of the dataset's own recipe, or its first steps."""
    n = data.train.labels.size
    rule = SubsetRule(n, subset_size(n, 0.7))
    recipe = recipe_for(data.recipes, name, rule.size, epochs=1, warmup=0.0)
    model = make_model(name, Spec(data.num_classes, recipe.hidden))
    job = make_job(model, recipe, "packed", rule, data.num_classes, ("test_accuracy",))
    job = job._replace(first_steps=steps)
    return make_ensemble(job, data, root_key(0), placement=placement)


def compare(data, name: str, width: int, steps: int | None) -> dict:
    """Rows a second from the device and from the host, medians of turns."""
    seconds: dict[str, list[float]] = {"device": [], "host": []}
    ensembles = {place: ensemble_of(data, name, place, steps) for place in seconds}
    programs = {place: each.programs(width) for place, each in ensembles.items()}
    job, devices = ensembles["host"].job, ensembles["host"].mesh.size
    trials = ensembles["host"].place(np.arange(devices * width, dtype=np.int32))
    waited: list[bool] = []

    def train(place: str) -> float:
        states = jax.block_until_ready(programs[place].init(trials))
        start = time.perf_counter()

        def after(steps, states, waited_for=False):
            waited.append(waited_for)

        after = after if place == "host" else None
        jax.block_until_ready(programs[place].advance(trials, states, 0, job.steps, after))
        return time.perf_counter() - start

    for place in seconds:
        train(place)  # compiles
    waited.clear()
    for _ in range(TURNS):
        for place, spent in seconds.items():
            spent.append(train(place))
    rows = trials.size * job.subsets.size * job.steps / job.learner.steps
    ratios = np.array(seconds["device"]) / np.array(seconds["host"])
    return {
        "model": name,
        "width": width,
        "device_rows_per_second": rows / np.median(seconds["device"]),
        "host_rows_per_second": rows / np.median(seconds["host"]),
        "host_to_device": float(np.median(ratios)),
        "of_turns": ratios.tolist(),
        "chunks_that_devices_waited_for": float(np.mean(waited)),
    }


def write_rows(folder: Path, nbytes: int) -> None:
    """Pixels of ten classes that differ in brightness, never all in memory."""
    for split, share in (("train", 0.99), ("test", 0.01)):
        rows = int(nbytes * share) // (SIDE * SIDE)
        rng = np.random.default_rng(rows)
        labels = rng.integers(0, 10, rows)
        np.save(folder / f"y_{split}.npy", labels)
        images = np.lib.format.open_memmap(
            folder / f"x_{split}.npy", "w+", np.uint8, (rows, SIDE, SIDE, 1)
        )
        for start in range(0, rows, 10_000):
            part = labels[start : start + 10_000, None, None, None]
            noise = rng.integers(0, 100, (part.size, SIDE, SIDE, 1), np.uint8)
            images[start : start + 10_000] = noise + (15 * part).astype(np.uint8)


def memory(nbytes: int, where: str | None) -> dict:
    """The most that training on so many bytes takes of the process's own memory."""
    folder = Path(tempfile.mkdtemp(dir=where))
    try:
        (folder / "rows").mkdir()
        write_rows(folder / "rows", nbytes)
        start = time.perf_counter()
        with Memory() as used:
            data = jaxmem.load_dataset(folder / "rows")
            loaded = time.perf_counter() - start
            run = jaxmem.run_trials(
                data,
                2,
                folder / "run",
                placement="host",
                width=1,
                epochs=1,
                batch_size=512,
                hidden=(64,),
                standardize=False,
            )
        return {
            "bytes": data.train.images.nbytes + data.test.images.nbytes,
            "rows": data.train.labels.size,
            "seconds": time.perf_counter() - start,
            "seconds_to_load": loaded,
            "own_memory_bytes": used.most,
            "own_memory_bytes_beyond_start": used.most - used.start,
            "test_accuracy": run.test_accuracy.tolist(),
        }
    finally:
        shutil.rmtree(folder)


def main(argv: list[str] | None = None) -> None:
    """Compare, and write results/benchmark_placement.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="of TFDS")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="of the memory test")
    parser.add_argument("--folder", help="where its rows go (default: temporary)")
    args = parser.parse_args(argv)
    mnist = jaxmem.load_dataset("mnist", data_dir=args.data_dir)
    cifar = jaxmem.load_dataset("cifar100", data_dir=args.data_dir)
    used = memory(int(args.gigabytes * 1e9), args.folder)
    print(used, flush=True)
    speed = []
    for case in (mnist, "mlp", 1, None), (mnist, "mlp", 4, None), (cifar, "resnet9", 1, 2):
        speed.append(compare(*case))
        print(speed[-1], flush=True)
    numbers = {"speed": speed, "memory": used}
    print(save("benchmark_placement", numbers))


if __name__ == "__main__":
    command(main)
