"""How long each network takes to its first result, from nothing.

    python experiments/benchmark_first_result.py

`python -m jaxmem.run`, as a process with an empty cache of compiled programs: one trial, of
140 images of 32 x 32 in 10 classes, 2 epochs, batches of 32, without a report. Writes
results/benchmark_first_result.json after every network. Takes about ten minutes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from experiment import save

# Seconds that two cores should take at most.
AIMS = {
    "mlp": 8,
    "cnn": 20,
    "resnet9": 75,
    "airbench": None,
    "vit": None,
    "resnet18": 120,
    "inception": 240,
    "resnet50": 240,
    "densenet100": 240,
}
ROWS = 200, 20  # of which a trial sees 70 %


def write_rows(path: Path) -> None:
    """Noise in ten brightnesses."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in zip(("train", "test"), ROWS, strict=True):
        labels = np.arange(count) % 10
        noise = rng.integers(0, 100, (count, 32, 32, 3), np.uint8)
        arrays[f"x_{split}"] = noise + (15 * labels[:, None, None, None]).astype(np.uint8)
        arrays[f"y_{split}"] = labels
    np.savez(path, **arrays)


def first_result(model: str, rows: Path) -> float:
    """Seconds of the command."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--dataset={rows}", f"--model={model}", "--trials=1", "--epochs=2"]
        flags += ["--batch-size=32", "--no-report", f"--workdir={folder}/run"]
        command = [sys.executable, "-m", "jaxmem.run", *flags]
        start = time.perf_counter()
        environment = {**os.environ, "JAXMEM_CACHE": f"{folder}/cache"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return time.perf_counter() - start


def main() -> None:
    """Time every network, and write results/benchmark_first_result.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(AIMS), help="default: all")
    args = parser.parse_args()
    table = {}
    with tempfile.TemporaryDirectory() as folder:
        write_rows(rows := Path(folder) / "rows.npz")
        for model in args.models.split(","):
            seconds = first_result(model, rows)
            table[model] = {
                "seconds": round(seconds, 1),
                "aim": AIMS.get(model),
                "load": os.getloadavg()[0],
            }
            print(model, table[model], flush=True)
            save("benchmark_first_result", {"rows": ROWS, "table": table})


if __name__ == "__main__":
    main()
