"""May the stored classes take the place of the bits that say whether they are correct?

    python experiments/stored_predictions.py --data-dir=../shared/tfds

Trains 1,000 MNIST trials, two epochs of the demo recipe each (about a quarter of an hour on
two cores), and compares, in turns, what opening a run and estimating mem read: the bits, or
the predicted classes, compared with 0 and packed. Writes results/stored_predictions.json.
"""

import tempfile
import time

import numpy as np
from experiment import command, parser, save

import jaxmem
from jaxmem.estimates.bits import Bits
from jaxmem.estimates.counts import memorization_counts

SIDES = ("train", "test")
TURNS = 3


def stored_bytes(run, name: str) -> float:
    """On disk, a trial."""
    files = (run.workdir / "trials.zarr" / name).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / run.trials.size


def from_bits(run, side: str) -> np.ndarray:
    """Correctness as it is stored: uint8 [T, …]."""
    return run.reader.read(f"{side}_correct", run.trials)


def from_classes(run, side: str) -> np.ndarray:
    """The same, made of the stored classes 64 trials at a time."""
    parts = np.array_split(run.trials, -(-run.trials.size // 64))
    read = (run.reader.read(f"{side}_predicted", part) for part in parts)
    return np.concatenate([np.packbits(rows == 0, axis=1) for rows in read])


def seconds(run, correct) -> dict[str, float]:
    """To read both sides, as opening a run does, and to count for mem."""
    start = time.perf_counter()
    train, _ = (correct(run, side) for side in SIDES)
    read = time.perf_counter()
    n = run.tr_labels.size
    included = Bits(run.reader.read("included", run.trials), n)
    memorization_counts(included, Bits(train, n))
    return {"read": read - start, "read_and_estimate": time.perf_counter() - start}


def main(argv: list[str] | None) -> None:
    """Run the comparison."""
    args = parser(__doc__, trials=1000).parse_args(argv)
    data = jaxmem.load_dataset("mnist", args.data_dir)
    with tempfile.TemporaryDirectory() as folder:
        workdir = args.workdir or folder
        run = jaxmem.run_trials(data, args.trials, workdir, epochs=2, width=1)
        save("stored_predictions", compare(run))


def compare(run: jaxmem.Run) -> dict:
    """Bytes a trial, and the fewest seconds of TURNS in which the ways take turns."""
    for side in SIDES:
        np.testing.assert_array_equal(from_bits(run, side), from_classes(run, side))
    ways = {"bits": from_bits, "classes": from_classes}
    times = [{way: seconds(run, ways[way]) for way in ways} for _ in range(TURNS + 1)][1:]
    return {
        "trials": int(run.trials.size),
        "test_accuracy": float(run.test_accuracy.mean()),
        "bytes_a_trial": {
            kind: sum(stored_bytes(run, f"{side}_{kind}") for side in SIDES)
            for kind in ("correct", "predicted")
        },
        "seconds": {
            way: {step: min(turn[way][step] for turn in times) for step in times[0][way]}
            for way in ways
        },
    }


if __name__ == "__main__":
    command(main)
