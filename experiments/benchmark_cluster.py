"""What a cluster costs beside training: trials a second, leases, and one writer.

    python experiments/benchmark_cluster.py

Takes about ten minutes on two idle cores. Needs Ray: pip install 'jaxmem[ray]'.

Speed: digits with its own recipe, by one process, two Ray workers and two shares at once,
in turns; trials a second from the first that are stored to the last, so without any start.
A lease: the driver deals leases to two workers that return at once. One writer: two workers
return outcomes of ImageNet's size (1,281,167 and 50,000 examples, 1,000 classes), and the
driver stores them in a workdir on this disk, and in a bucket of an S3 that a process beside
it plays (pip install 'jaxmem[emulators]'; in its memory). Writes
results/benchmark_cluster.json; --only=s3 measures the bucket alone and writes
results/benchmark_cluster_s3.json.
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from experiment import command, save

import jaxmem
from jaxmem._shared.files import location
from jaxmem._shared.objects import in_bucket
from jaxmem.running import actors, cluster
from jaxmem.running.worker import Returned, Task, Worker
from jaxmem.storage.appending import Appends
from jaxmem.storage.config import Inputs, RunConfig
from jaxmem.storage.schema import BY_STORE
from jaxmem.storage.store import create_store
from jaxmem.training.ensemble import Plan
from jaxmem.training.hyperparameters import Recipe

TURNS = 3
WAYS = {
    "one process": [[]],
    "two Ray workers": [["--cluster=ray", "--workers=2"]],
    "two shares": [["--share=0/2"], ["--share=1/2"]],
}


def trials_a_second(flags: list[list[str]], trials: int, folder: Path) -> float:
    """Run commands at once on one new workdir, and watch it fill."""
    common = [sys.executable, "-m", "jaxmem.run", f"--trials={trials}", "--width=1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    workdir = f"--workdir={folder}"
    running = [subprocess.Popen([*common, workdir, *own], **quiet) for own in flags]
    seen: list[tuple[float, int]] = []
    while not seen or seen[-1][1] < trials:
        time.sleep(0.1)
        try:
            count = int(jaxmem.open_run(folder).trials.size)
        except jaxmem.InputError:
            count = 0
        if count and (not seen or count > seen[-1][1]):
            seen.append((time.perf_counter(), count))
        if any(process.poll() for process in running):
            raise RuntimeError(f"{flags} failed")
    for process in running:
        process.wait()
    (start, first), (end, last) = seen[0], seen[-1]
    return (last - first) / (end - start)


class Idle(Worker):
    """Returns the same outcomes for every lease, at once."""

    def set_up(self, task):
        """Make the outcomes of one lease."""
        self._rows = task.configure()
        return True

    def plan(self, width):
        """A lease is as many trials as there are rows."""
        return Plan(1, 1, len(self._rows["status"]))

    def train(self, trials, plan):
        """Nothing."""
        rows = {k: v[: len(trials)] for k, v in self._rows.items() if k != "status"}
        return Returned(rows, 0.0)


def make_config(n: int, e: int, classes: int) -> RunConfig:
    """Of a run of this size."""
    return RunConfig(
        *("benchmark", "0" * 16, n, e, classes, (8, 8, 1), Inputs("uint8", 0.0, 255.0)),
        *(
            "mlp",
            1,
            Recipe(),
            0.7,
            int(0.7 * n),
            "uniform",
            None,
            0,
            "packed",
            False,
            False,
        ),
    )


class Rows:
    """Makes outcomes of a run of this size: half of the bits, a fifth wrong."""

    def __init__(self, config: RunConfig, size: int):
        self.config, self.size = config, size

    def __call__(self) -> dict[str, np.ndarray]:
        """A row for each trial of a lease."""
        draw, sizes = np.random.default_rng(0), self.config.sizes
        rows = {"diverged": np.zeros(self.size, bool), "status": np.zeros(self.size)}
        for quantity in self.config.quantities:
            if quantity.name in BY_STORE:
                continue
            shape = self.size, *quantity.row_shape(sizes)
            dtype = quantity.dtype_of(sizes)
            if dtype.kind == "f":
                rows[quantity.name] = draw.random(shape, np.float32).astype(dtype)
            else:
                most = 256 if "bits" in str(quantity.axes) else sizes.classes
                values = draw.integers(0, most, shape).astype(dtype)
                if most != 256:
                    values *= draw.random(shape) < 0.2
                rows[quantity.name] = values
        return rows


def driven(config: RunConfig, size: int, leases: int, folder: Path, stored: bool) -> dict:
    """Let the driver deal so many leases of `size` trials to two idle workers."""
    trials = size * leases
    actors.Worker = Idle
    cluster.lease_size = lambda block, *_: block
    folder.mkdir()
    store = create_store(folder, config, trials) if stored else None
    appends = None if store is None else Appends(store, lambda: None)
    os.environ.pop("RAY_ADDRESS", None)
    with actors.connected(2) as slots:
        where = os.getcwd(), str(folder)
        task = Task(Rows(config, size), config, "auto", *where, False)
        driver = cluster.Driver(slots, 2, task, jaxmem.load_dataset("digits"))
        times, nbytes = [], 0
        for block, _ in driver.blocks(list(range(trials)), 1):
            if appends is not None:
                appends.add(block.trials, block.outcomes, 1)
            nbytes += sum(rows.nbytes for rows in block.outcomes.values())
            times.append(time.perf_counter())
        if appends is not None:
            appends.flush()
            times[-1] = time.perf_counter()
    if store is not None:
        assert store.finished().size == trials
    seconds = (times[-1] - times[0]) / (len(times) - 1)
    return {
        "seconds_a_lease": seconds,
        "trials_an_hour": 3600 * size / seconds,
        "megabytes_a_trial": nbytes / trials / 1e6,
        "megabytes_stored": sum(map(length, objects(folder))) / 1e6,
    }


def objects(folder: Path) -> list:
    """The files in a folder, also of a bucket."""
    found = folder.files() if in_bucket(folder) else folder.rglob("*")
    return [path for path in found if path.is_file()]


def length(path) -> int:
    """Of a file, in bytes."""
    return len(path.read_bytes()) if in_bucket(path) else path.stat().st_size


@contextlib.contextmanager
def s3_emulator() -> Iterator[str]:
    """A process that plays an S3, and a new bucket in it: gives its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    os.environ.update({**keys, "AWS_ENDPOINT_URL": address})
    command = [sys.executable, "-m", "moto.server", f"--port={port}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            while True:
                try:
                    bucket = urllib.request.Request(f"{address}/bucket", method="PUT")
                    urllib.request.urlopen(bucket, timeout=10).close()
                    break
                except OSError:
                    if server.poll() is not None:
                        raise
                    time.sleep(0.2)
            yield "s3://bucket"
        finally:
            server.terminate()


def main(argv: list[str] | None = None) -> None:
    """Measure, and write results/benchmark_cluster.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1500, help="of digits, each time")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--leases", type=int, default=100, help="of ImageNet's size")
    parser.add_argument("--only", choices=["s3"], help="the S3 emulator alone")
    args = parser.parse_args(argv)
    numbers: dict = {"load_average_at_start": os.getloadavg()}
    large = make_config(1_281_167, 50_000, 1000)
    if args.only:
        with s3_emulator() as bucket:
            where = location(f"{bucket}/imagenet")
            numbers["imagenet_on_s3"] = driven(large, 4, args.leases, where, stored=True)
        numbers["load_average_at_end"] = os.getloadavg()
        print(numbers)
        return print(save("benchmark_cluster_s3", numbers))
    with tempfile.TemporaryDirectory() as folder:
        speed: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(args.turns):
            for k, (way, flags) in enumerate(WAYS.items()):
                workdir = Path(folder) / f"{turn}-{k}"
                speed[way].append(trials_a_second(flags, args.trials, workdir))
                print(way, speed[way], flush=True)
        numbers["trials_a_second"] = speed
        small = make_config(1437, 360, 10)
        numbers["empty_leases"] = driven(small, 1, 500, Path(folder) / "a", stored=False)
        imagenet = driven(large, 4, args.leases, Path(folder) / "b", stored=True)
        numbers["imagenet_on_this_disk"] = imagenet
    numbers["load_average_at_end"] = os.getloadavg()
    print(numbers)
    print(save("benchmark_cluster", numbers))


if __name__ == "__main__":
    command(main)
