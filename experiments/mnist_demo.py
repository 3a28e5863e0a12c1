"""The authors' MNIST demo, as many trials as the time allows, and what they show.

    python experiments/mnist_demo.py --data-dir=../shared/tfds --minutes=60    # a CPU
    python experiments/mnist_demo.py --dataset=mnist.npz --trials=4000         # an H200

Feldman & Zhang's release trains 2,000 MLPs 784-512-256-10 (10 epochs of a 42,000-example
subset, batch 128, SGD 0.1, momentum 0.9) one after another "in a few hours" on one GPU.

Runs `python -m jaxmem.run` until the trials are done or the minutes are over, then reads
the workdir. Reports trials an hour, beside the floors that the products' operations and the
optimiser's memory traffic set; memorized examples and pairs; and how well two halves of the
trials agree on mem (Spearman's rank correlation, and the share of memorized examples in
common). Writes experiments/results/mnist_demo_<backend>.json and the run's figures.
"""

import argparse
import shutil
import subprocess
import sys
import time

import jax
import numpy as np
from experiment import RESULTS, save
from scipy.stats import spearmanr

import jaxmem
from jaxmem._shared.commands import INTERRUPTED
from jaxmem.reporting import figures

PRODUCTS = 784 * 512 + 512 * 256 + 256 * 10  # multiply-adds of one example, forward
PARAMETERS = PRODUCTS + 512 + 256 + 10
EXAMPLES = 420_000  # of one trial: 10 epochs of 42,000
STEPS = 10 * 329


def train(arguments: list[str], minutes: float | None) -> float:
    """Run the command for so long at most; returns the seconds it took."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "jaxmem.run", *arguments])
    try:
        process.wait(None if minutes is None else 60 * minutes)
    except subprocess.TimeoutExpired:
        process.terminate()  # what is finished is kept
        process.wait()
    if process.returncode not in (0, INTERRUPTED):
        raise SystemExit(process.returncode)
    return time.perf_counter() - start


def halves(run: jaxmem.Run, threshold: float = 0.25) -> dict:
    """How well mem of the first half of the trials agrees with mem of the second."""
    first, second = (half.memorization for half in run.halves())
    known = np.isfinite(first) & np.isfinite(second)
    a, b = first >= threshold, second >= threshold
    either = int((a | b).sum())
    return {
        "trials_each": run.trials.size // 2,
        "spearman_all": float(spearmanr(first[known], second[known]).statistic),
        "spearman_where_mem_above_0.05": float(
            spearmanr(
                *(m[known & (run.memorization > 0.05)] for m in (first, second))
            ).statistic
        ),
        "memorized": [int(a.sum()), int(b.sum())],
        "memorized_shared": int((a & b).sum()),
        "jaccard": int((a & b).sum()) / either if either else None,
    }


def floors() -> dict:
    """What one trial costs at least: operations of its products, bytes of its updates."""
    fit = EXAMPLES * 2 * (3 * PRODUCTS - 784 * 512)  # no gradient for the images
    outcomes = 70_000 * 2 * PRODUCTS
    # A step reads gradient, momentum and parameters once and writes the latter two.
    return {
        "flop_per_trial": fit + outcomes,
        "update_bytes_per_trial": STEPS * 5 * 4 * PARAMETERS,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="mnist", help="or a file mnist.npz")
    parser.add_argument("--data-dir", help="where TFDS keeps MNIST")
    parser.add_argument("--trials", type=int, default=4000)
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--workdir", default="runs/mnist-demo")
    args = parser.parse_args()
    arguments = [
        f"--dataset={args.dataset}",
        f"--trials={args.trials}",
        f"--workdir={args.workdir}",
        # The demo's protocol, also where the data come as one's own file.
        *("--epochs=10", "--batch-size=128", "--learning-rate=0.1", "--weight-decay=0"),
        *("--schedule=constant", "--no-standardize"),
    ]
    arguments += [f"--data-dir={args.data_dir}"] if args.data_dir else []
    try:
        before = jaxmem.open_run(args.workdir).trials.size
    except jaxmem.InputError:
        before = 0
    seconds = train(arguments, args.minutes)

    run = jaxmem.open_run(args.workdir)
    trained = run.trials.size - before
    pairs = run.pairs()
    cost = floors()
    rate = trained / seconds
    numbers = {
        "trials": int(run.trials.size),
        "diverged": run.diverged,
        "trials_of_this_call": trained,
        "seconds_of_this_call": round(seconds, 1),
        "trials_an_hour": round(3600 * rate, 1),
        "tflop_per_second": cost["flop_per_trial"] * rate / 1e12,
        "update_gigabytes_per_second": cost["update_bytes_per_trial"] * rate / 1e9,
        **cost,
        "test_accuracy": [float(run.test_accuracy.mean()), float(run.test_accuracy.std())],
        "train_accuracy": [
            float(run.train_accuracy.mean()),
            float(run.train_accuracy.std()),
        ],
        "memorized": int((run.memorization >= 0.25).sum()),
        "median_standard_error": float(np.nanmedian(run.memorization_se)),
        "median_standard_error_of_memorized": float(
            np.median(run.memorization_se[run.memorization >= 0.25])
        ),
        "pairs": int(pairs.infl.size),
        "train_examples_in_pairs": int(np.unique(pairs.tr_idx).size),
        "test_examples_in_pairs": int(np.unique(pairs.tt_idx).size),
        "halves": halves(run),
    }
    path = save(f"mnist_demo_{jax.default_backend()}", numbers)
    data = jaxmem.load_dataset(args.dataset, args.data_dir)
    figures.save_all(run, data, pairs, mem_threshold=0.25)
    for picture in run.workdir.glob("*.png"):
        shutil.copy(picture, RESULTS / f"{path.stem}_{picture.name}")
    print(path.read_text())


if __name__ == "__main__":
    main()
