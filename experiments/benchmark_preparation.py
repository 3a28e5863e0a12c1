"""How fast photographs are decoded and prepared, and in how much memory.

    python experiments/benchmark_preparation.py              # a minute on two cores
    python experiments/benchmark_preparation.py --rows=1000  # a tenth of it

Synthesises class folders of JPEGs of about 400 x 350, ImageNet's mean size, and loads them
as --dataset=FOLDER --image-size=256 --test-fraction=0.05 does: once decoding, once from the
cache. Peak memory is what the process's own pages take beyond those before it started
(Linux's RssAnon, sampled): pages of mapped files are the system's, which takes them back
at will. One thread alone says what a core does.
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from experiment import command, save
from PIL import Image

import jaxmem
from jaxmem._shared.devices import cores
from jaxmem.data.decoding import decode

CLASSES = 100
SIZE = 256
ALONE = 500  # images that one thread decodes
SAMPLED = 0.02  # seconds between two looks at memory


def write_images(folder: Path, rows: int) -> int:
    """JPEGs of clouds and noise, as large as photographs are; returns their bytes."""
    for label in range(CLASSES):
        (folder / f"n{label:03}").mkdir(parents=True)
    with ThreadPoolExecutor(cores()) as pool:
        return sum(pool.map(lambda row: _write_image(folder, row), range(rows)))


def _write_image(folder: Path, row: int) -> int:
    rng = np.random.default_rng(row)
    height, width = rng.integers(300, 401), rng.integers(350, 451)
    path = folder / f"n{row % CLASSES:03}" / f"{row}.JPEG"
    coarse = rng.integers(0, 256, (24, 28, 3), np.uint8)
    clouds = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.integers(-18, 19, (height, width, 3), np.int16)
    pixels = np.clip(np.asarray(clouds) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=85)
    return path.stat().st_size


class Memory:
    """The most that this process's own pages took while this was open, in bytes."""

    def __enter__(self):
        self.start = self.most = _own_memory()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLED):
            self.most = max(self.most, _own_memory())


def _own_memory() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def one_thread(folder: Path) -> float:
    """Images that a thread decodes in a second of CPU time."""
    files = sorted(folder.rglob("*.JPEG"))[:ALONE]
    start = time.thread_time()
    for file in files:
        decode(file, SIZE, 3)
    return len(files) / (time.thread_time() - start)


def load(folder: Path) -> tuple[float, jaxmem.Dataset]:
    """Seconds, and the data."""
    start = time.perf_counter()
    data = jaxmem.load_dataset(folder, image_size=SIZE, test_fraction=0.05)
    return time.perf_counter() - start, data


def main(argv: list[str] | None) -> None:
    """Synthesise, prepare, map; write results/benchmark_preparation.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--folder", help="where images and cache go (default: temporary)")
    args = parser.parse_args(argv)
    load_before = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    os.environ["JAXMEM_CACHE"] = str(folder / "cache")
    try:
        encoded = write_images(folder / "images", args.rows)
        alone = one_thread(folder / "images")
        busy = time.process_time()
        with Memory() as memory:
            seconds, data = load(folder / "images")
        busy = time.process_time() - busy
        fingerprint, images = data.fingerprint, data.train.images
        with Memory() as again:
            mapped, data = load(folder / "images")
        assert data.fingerprint == fingerprint
    finally:
        shutil.rmtree(folder)
    numbers = {
        "rows": args.rows,
        "image_size": SIZE,
        "encoded_bytes": encoded,
        "decoded_bytes": args.rows * images[0].nbytes,
        "cores": cores(),
        "load_average_before": load_before,  # above 0.5: others slowed the clock's figures
        "seconds": seconds,
        "rows_per_second": args.rows / seconds,
        "rows_per_second_and_core": args.rows / seconds / cores(),
        "rows_per_second_of_cpu_time": args.rows / busy,  # whatever else the machine did
        "rows_per_second_of_cpu_time_decoding_alone": alone,
        "peak_own_memory_bytes_beyond_start": memory.most - memory.start,
        "seconds_of_second_start": mapped,
        "second_start_own_memory_bytes_beyond_start": again.most - again.start,
    }
    print(f"{save('benchmark_preparation', numbers)}\n{numbers}")


if __name__ == "__main__":
    command(main)
