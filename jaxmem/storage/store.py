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
import errno
import fcntl
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorstore as ts

from jaxmem._shared.arrays import describe, make_group, open_array
from jaxmem._shared.files import read_json, read_npz, reason
from jaxmem._shared.progress import say
from jaxmem.errors import InputError
from jaxmem.training.ensemble import Outcomes

FORMAT = 2  # of a workdir; raised whenever older ones cannot be read or resumed
MISSING, FINISHED, DIVERGED = 0, 1, 2  # of `status`
# Rows in one file, at most: a power of two, so that processes can own whole files.
CHUNK_TRIALS = 64
CHUNK_BYTES = 2**23  # and bytes, at most
CHECKED = 512  # trials whose rows are checked at a time

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


class Damage(NamedTuple):
    """Finished trials whose rows do not fit each other."""

    trials: np.ndarray  # int64 [K], sorted
    reasons: list[str]  # a line for each kind of damage

    def __str__(self) -> str:
        return "; ".join(self.reasons)


UNDAMAGED = Damage(np.zeros(0, np.int64), [])


class TrialStore:
    """The trials of one workdir. Readers see those finished when they ask."""

    def __init__(self, workdir: Path, arrays: dict[str, ts.TensorStore]):
        self.workdir = workdir
        self._arrays = arrays
        self._broken: set[tuple[str, int]] = set()  # chunks that could not be read

    def status(self) -> np.ndarray:
        """uint8 [T]: MISSING (also where it cannot be read), FINISHED or DIVERGED."""
        everything = np.arange(self._arrays["status"].shape[0])
        return self._legible("status", everything)[0]

    def read(self, name: str, trials: np.ndarray) -> np.ndarray:
        """The rows of an array of `ARRAYS` or `OPTIONAL`, of the trials int [M].

        Raises InputError, naming the array, where they are damaged.
        """
        trials = np.asarray(trials, np.int64)
        rows, legible = self._legible(name, trials)
        if name in OPTIONAL and rows.size:
            legible &= np.isfinite(rows.reshape(len(rows), -1)[:, 0])
        if not legible.all():
            raise InputError(
                f"{self.workdir}: {name} of trial {trials[~legible][0]} is damaged "
                f"or lost; {AGAIN}"
            )
        return rows

    def check(
        self, n: int, e: int, config: dict[str, Any], complete: bool = False
    ) -> Damage:
        """Compare each finished trial's rows with each other, and with the subset size.

        n, e: training and test examples. complete: also what only some estimates read,
        margins and probabilities.
        """
        finished = np.flatnonzero(self.status() == FINISHED)
        found: dict[str, list[np.ndarray]] = {}
        for start in range(0, finished.size, CHECKED):
            trials = finished[start : start + CHECKED]
            for what, bad in self._misfits(trials, n, e, config, complete):
                if bad.any():
                    found.setdefault(what, []).append(trials[bad])
        damaged = {what: np.concatenate(parts) for what, parts in found.items()}
        reasons = [f"{what} of {_numbers(rows)}" for what, rows in damaged.items()]
        none = np.zeros(0, np.int64)
        return Damage(np.unique(np.concatenate([none, *damaged.values()])), reasons)

    def _misfits(
        self, trials: np.ndarray, n: int, e: int, config: dict[str, Any], complete: bool
    ) -> Iterator[tuple[str, np.ndarray]]:
        """(what is wrong, with which of the trials: bool [M])."""
        rows = {}
        names = [name for name in ARRAYS if name != "status"]
        for name in (*names, *(set(OPTIONAL) & set(self._arrays) if complete else ())):
            rows[name], legible = self._legible(name, trials)
            yield f"{name} (unreadable)", ~legible
        included, correct = rows["included"], rows["train_correct"]
        count, size = _ones(included), config.get("subset_size")
        if config["seed"] is not None:  # a training of ours
            yield "final_loss (lost)", np.isnan(rows["final_loss"])
        if size is not None:
            yield "included (not of the subset size)", count != size
        fitted = _ones(included & correct)
        for name, hits, of in (
            ("train_correct", fitted, count),
            ("test_correct", _ones(rows["test_correct"]), np.full(count.shape, e)),
        ):
            accuracy = rows[name.replace("correct", "accuracy")]
            fits = np.abs(accuracy.astype(np.float64) * of - hits) < 0.5
            yield f"{name} (not of the stored accuracy)", ~fits & (of > 0)
        for name in set(OPTIONAL) & set(rows):
            known = np.isfinite(rows[name].reshape(len(trials), -1)[:, 0])
            if name == "held_out_probability":
                known |= count == n
            yield f"{name} (lost)", ~known

    def _legible(self, name: str, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The trials' rows of an array, and which of them could be read: bool [M].

        Others are of the fill value.
        """
        array = self._arrays[name]
        try:
            return array[trials].read().result(), np.ones(trials.size, bool)
        except (OSError, ValueError):
            pass  # which chunks?
        rows = np.full(
            (trials.size, *array.shape[1:]),
            array.fill_value.item(),
            array.dtype.numpy_dtype,
        )
        legible = np.zeros(trials.size, bool)
        chunk = array.chunk_layout.read_chunk.shape[0]
        for number in np.unique(trials // chunk).tolist():
            here = trials // chunk == number
            try:
                rows[here] = array[trials[here]].read().result()
                legible[here] = True
            except (OSError, ValueError):
                self._broken.add((name, number))
        return rows, legible

    def forget(self, trials: np.ndarray) -> None:
        """Make trials missing, and remove the chunks that could not be read."""
        with _refusals(self.workdir):
            for name, number in self._broken:
                chunk = self.workdir / "trials.zarr" / name / "c" / str(number)
                shutil.rmtree(chunk) if chunk.is_dir() else chunk.unlink(missing_ok=True)
            self._broken.clear()
            if trials.size:
                self._arrays["status"][trials].write(np.uint8(MISSING)).result()

    def append(self, trials: list[int], outcomes: Outcomes) -> None:
        """Store finished trials; returns when they are safe on disk.

        Raises InputError where the disk does not take them.
        """
        rows = np.asarray(trials, np.int64)
        values = outcomes._asdict()
        status = np.where(values.pop("diverged"), DIVERGED, FINISHED).astype(np.uint8)
        with _refusals(
            self.workdir,
            "; what is finished is kept: make room and give the same command again",
        ):
            values = {k: v for k, v in values.items() if v is not None}
            writes = [self._arrays[k][rows].write(v) for k, v in values.items()]
            for write in writes:
                write.result()
            self._arrays["status"][rows].write(status).result()


AGAIN = "`python -m jaxmem.run` with the same flags trains what is damaged again"


def _ones(bits: np.ndarray) -> np.ndarray:
    """How many bits are set in each row: int64 [M]."""
    return np.bitwise_count(bits).sum(axis=1, dtype=np.int64)


def _numbers(trials: np.ndarray) -> str:
    """A few trials' numbers, in words."""
    shown = ", ".join(map(str, trials[:5]))
    more = f" and {trials.size - 5:,} others" if trials.size > 5 else ""
    return f"trial{'s' if trials.size > 1 else ''} {shown}{more}"


def read_config(workdir: Path) -> dict[str, Any]:
    """A workdir's config.json; raises InputError if it is damaged or of another format."""
    path = workdir / "config.json"
    config = read_json(path)
    known = config.get("format") if isinstance(config, dict) else None
    if known is None:
        raise InputError(f"{path} is no jaxmem configuration")
    if known != FORMAT:
        raise InputError(
            f"{workdir} was written by jaxmem {config.get('jaxmem')} in format {known}; "
            f"this one reads format {FORMAT}. Use that version, or train again in a new "
            "--workdir"
        )
    return config


def read_examples(workdir: Path) -> dict[str, np.ndarray]:
    """Labels, ids and class names; raises InputError where they cannot be read."""
    examples = read_npz(workdir / "examples.npz")
    lacking = {"tr_labels", "tt_labels", "tr_ids", "tt_ids"} - set(examples)
    if lacking:
        raise InputError(f"{workdir / 'examples.npz'} lacks {', '.join(sorted(lacking))}")
    return examples


def open_store(workdir: Path) -> TrialStore:
    """Open a workdir's trials to read them; raises InputError where an array is lost."""
    root = workdir / "trials.zarr"
    stored = (name for name in OPTIONAL if (root / name).exists())
    arrays = {}
    for name in (*ARRAYS, *stored):
        try:
            arrays[name] = open_array(root / name).result()
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot open {root / name}: {reason(error)}; {AGAIN}"
            ) from error
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
    with _refusals(workdir):
        root = workdir / "trials.zarr"
        make_group(root)
        arrays = {}
        for name, (dtype, fill, kind) in {**ARRAYS, **OPTIONAL}.items():
            if kind not in columns:
                continue
            wide = columns[kind]
            row = math.prod(wide) * np.dtype(dtype).itemsize
            most = max(1, min(CHUNK_TRIALS, CHUNK_BYTES // row))
            chunk = 2 ** (most.bit_length() - 1), *wide
            try:
                array = open_array(root / name).result()
            except ValueError:  # it is not there, or its description is damaged
                (root / name / "zarr.json").unlink(missing_ok=True)
                metadata = describe((trials, *wide), chunk, dtype, fill)
                array = open_array(root / name, metadata).result()
            if array.shape[0] < trials:
                array = array.resize(
                    exclusive_max=[trials] + [None] * (array.rank - 1)
                ).result()
            arrays[name] = array
    return TrialStore(workdir, arrays)


@contextlib.contextmanager
def _refusals(workdir: Path, way_out: str = "") -> Iterator[None]:
    """Raises InputError where the disk refuses."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write to {workdir}: {reason(error)}{way_out}") from error


NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


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
        raise InputError(f"cannot write to {workdir}: {reason(error)}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise InputError(
                    f"another run is writing to {workdir}; wait for it, or give another "
                    "--workdir"
                ) from None
            say(f"{workdir} cannot be locked ({error.strerror}): let no other run write")
        yield
