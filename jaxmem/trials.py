"""What finished trials left behind, on disk: Zarr v3 arrays, one row a trial.

WORKDIR/config.json     everything that decides the results
WORKDIR/examples.npz    labels and ids of train and test
WORKDIR/plan.json       the layout chosen for this machine
WORKDIR/trials.zarr/    the arrays of `ARRAYS`

A trial counts as finished once its `status` is written, and that is written after all its
other rows are on disk. TensorStore replaces files whole, so a `kill -9` at any moment
leaves old or new rows, never torn ones.
"""

import contextlib
import fcntl
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorstore as ts

from jaxmem.ensemble import Outcomes
from jaxmem.errors import InputError
from jaxmem.files import describe, make_group, open_array

FORMAT = 1
MISSING, FINISHED, DIVERGED = 0, 1, 2  # of `status`
CHUNK_TRIALS = 64  # rows in one file, at most: fewer
CHUNK_BYTES = 2**23  # where that would be a larger file than this
CHUNK_SCALARS = 4096  # rows in one file of scalars

# name → (dtype, fill value, what the columns are)
ARRAYS = {
    "included": ("uint8", 0, "train bits"),
    "train_correct": ("uint8", 0, "train bits"),
    "test_correct": ("uint8", 0, "test bits"),
    "train_accuracy": ("float32", "NaN", None),
    "test_accuracy": ("float32", "NaN", None),
    "final_loss": ("float32", "NaN", None),
    "status": ("uint8", MISSING, None),
}
# Stored where a run asks for them.
OPTIONAL = {
    "train_margin": ("float16", "NaN", "train values"),
    "test_margin": ("float16", "NaN", "test values"),
    # of the examples that the trial did not see, in the order of their rows
    "held_out_probability": ("float16", "NaN", "held-out classes"),
}


class TrialStore:
    """The trials of one workdir. Readers see those finished when they ask."""

    def __init__(self, workdir: Path, arrays: dict[str, ts.TensorStore]):
        self.workdir = workdir
        self._arrays = arrays

    def status(self) -> np.ndarray:
        """uint8 [T]: MISSING, FINISHED or DIVERGED."""
        return self._arrays["status"].read().result()

    def read(self, name: str, trials: np.ndarray) -> np.ndarray:
        """The rows of an array of `ARRAYS` or `OPTIONAL`, of the trials int [M]."""
        return self._arrays[name][np.asarray(trials, np.int64)].read().result()

    def append(self, trials: list[int], outcomes: Outcomes) -> None:
        """Store finished trials; returns when they are safe on disk.

        Raises InputError where the disk does not take them.
        """
        rows = np.asarray(trials, np.int64)
        values = outcomes._asdict()
        status = np.where(values.pop("diverged"), DIVERGED, FINISHED).astype(np.uint8)
        try:
            values = {k: v for k, v in values.items() if v is not None}
            writes = [self._arrays[k][rows].write(v) for k, v in values.items()]
            for write in writes:
                write.result()
            self._arrays["status"][rows].write(status).result()
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot write to {self.workdir}: {_reason(error)}; what is finished is "
                "kept: make room and give the same command again"
            ) from error


def open_store(workdir: Path) -> TrialStore:
    """Open a workdir's trials to read them."""
    root = workdir / "trials.zarr"
    stored = (name for name in OPTIONAL if (root / name).exists())
    arrays = {name: open_array(root / name).result() for name in (*ARRAYS, *stored)}
    return TrialStore(workdir, arrays)


def create_store(
    workdir: Path,
    trials: int,
    n: int,
    e: int,
    margins: bool = False,
    held_out: tuple[int, int] | None = None,
) -> TrialStore:
    """Open a workdir's trials to write them, with room for at least `trials` rows.

    n and e are the numbers of training and test examples; held_out those of examples that
    a trial does not see and of classes, if their probabilities are stored. Raises
    InputError where the disk does not take it.
    """
    columns = {"train bits": (-(-n // 8),), "test bits": (-(-e // 8),), None: ()}
    if margins:
        columns |= {"train values": (n,), "test values": (e,)}
    if held_out is not None:
        columns |= {"held-out classes": held_out}
    try:
        root = workdir / "trials.zarr"
        make_group(root)
        arrays = {}
        for name, (dtype, fill, kind) in {**ARRAYS, **OPTIONAL}.items():
            if kind not in columns:
                continue
            metadata = None
            if not (root / name / "zarr.json").exists():
                wide = columns[kind]
                chunk = CHUNK_SCALARS, *wide
                if wide:
                    row = math.prod(wide) * np.dtype(dtype).itemsize
                    chunk = min(CHUNK_TRIALS, max(1, CHUNK_BYTES // row)), *wide
                metadata = describe((trials, *wide), chunk, dtype, fill)
            array = open_array(root / name, metadata).result()
            if array.shape[0] < trials:
                array = array.resize(
                    exclusive_max=[trials] + [None] * (array.rank - 1)
                ).result()
            arrays[name] = array
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write to {workdir}: {_reason(error)}") from error
    return TrialStore(workdir, arrays)


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Create the workdir if need be, and be its only writer; readers need no lock.

    Raises InputError if it cannot be written, is somebody else's folder or has a writer.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        files = [f.name for f in workdir.iterdir()]
        strangers = [f for f in files if f != "lock" and not f.startswith(".")]
        if strangers and "config.json" not in strangers:
            raise InputError(
                f"{workdir} holds other files ({strangers[0]}, …) and no jaxmem run; "
                "give a new --workdir"
            )
        file = open(workdir / "lock", "w")
    except OSError as error:
        raise InputError(f"cannot write to {workdir}: {_reason(error)}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"another run is writing to {workdir}; wait for it, or give another "
                "--workdir"
            ) from None
        yield


def _reason(error: Exception) -> str:
    """The operating system's words where there are some, else the first line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    start = text.find("[OS error")
    return (text[start:] if start >= 0 else text).splitlines()[0][:200]
