"""What finished trials left behind, on disk: Zarr v3 arrays, one row a trial.

A trial counts as finished once its `status` is written, and that is written after all its
other rows are on disk. TensorStore replaces files whole, so a `kill -9` at any moment
leaves old or new rows, never torn ones.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from jaxmem._shared.arrays import describe, make_group, open_array
from jaxmem._shared.files import reason, refusals, remove
from jaxmem._shared.objects import in_bucket
from jaxmem.errors import InputError
from jaxmem.storage.config import RunConfig
from jaxmem.storage.schema import DIVERGED, FINISHED, MISSING, SCHEMA, Quantity, Sizes

# At most this many rows in a chunk, which is a file: a power of two, so that processes can
# own whole files. And at most this many bytes.
CHUNK_TRIALS = 64
CHUNK_BYTES = 2**23
AWAY = "ABORTED|CANCELLED|DEADLINE|PERMISSION|RESOURCE|UNAUTHENTICATED|UNAVAILABLE"
AGAIN = "`python -m jaxmem.run` with the same flags trains what is damaged again"


class TrialStore:
    """The trials of one workdir. Readers see those finished when they ask."""

    def __init__(self, workdir: Path, arrays: dict[str, ts.TensorStore]):
        self.workdir = workdir
        self._arrays = arrays
        self._broken: set[tuple[str, int]] = set()  # chunks that could not be read

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities that are stored."""
        return tuple(self._arrays)

    @property
    def shared_safely(self) -> bool:
        """Whether processes that own chunks of CHUNK_TRIALS own whole files of it."""
        chunks = [array.chunk_layout.read_chunk.shape for array in self._arrays.values()]
        return all(chunk and CHUNK_TRIALS % (chunk[0] or 1) == 0 for chunk in chunks)

    def status(self, trials: np.ndarray | None = None) -> np.ndarray:
        """MISSING (also where it cannot be read), FINISHED or DIVERGED: uint8 [T].

        trials: of these, int [M]; default: of all that there is room for.
        """
        if trials is None:
            trials = np.arange(self._arrays["status"].shape[0])
        return self.legible("status", trials)[0]

    def finished(self) -> np.ndarray:
        """The numbers of the finished trials: int64 [F]."""
        return np.flatnonzero(self.status() == FINISHED)

    def read(self, name: str, trials: np.ndarray) -> np.ndarray:
        """The rows of a quantity of the schema, of the trials int [M].

        Raises InputError, naming the array, where they are damaged.
        """
        trials = np.asarray(trials, np.int64)
        rows, legible = self.legible(name, trials)
        # Accuracies may be NaN: of a trial that saw nothing.
        if SCHEMA[name].when and rows.dtype.kind == "f" and rows.size:
            legible &= np.isfinite(rows.reshape(len(rows), -1)[:, 0])
        if not legible.all():
            raise InputError(
                f"{self.workdir}: {name} of trial {trials[~legible][0]} is damaged "
                f"or lost; {AGAIN}"
            )
        return rows

    def legible(self, name: str, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The trials' rows of an array, and which of them could be read: bool [M].

        Others are of the fill value.
        """
        array = self._arrays[name]
        try:
            return array[trials].read().result(), np.ones(trials.size, bool)
        except (OSError, ValueError) as error:
            if in_bucket(self.workdir) and re.match(AWAY, str(error)):
                raise InputError(f"cannot read {self.workdir}: {reason(error)}") from error
            # which chunks?
        fill, chunks = array.fill_value, array.chunk_layout.read_chunk.shape
        assert fill is not None and chunks is not None  # Zarr's arrays have both
        shape = trials.size, *array.shape[1:]
        rows = np.full(shape, fill.item(), array.dtype.numpy_dtype)
        legible, chunk = np.zeros(trials.size, bool), chunks[0]
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
        with refusals(self.workdir):
            for name, number in self._broken:
                remove(self.workdir / "trials.zarr" / name / "c" / str(number))
            self._broken.clear()
            if trials.size:
                self._arrays["status"][trials].write(np.uint8(MISSING)).result()

    def append(
        self,
        trials: list[int],
        outcomes: dict[str, Any],
        layout: int | np.ndarray | None = None,
    ) -> None:
        """Store finished trials; returns when they are safe on disk.

        outcomes: rows [M, …] of every quantity but those of BY_STORE, and `diverged`, bool
        [M]. layout: the number of theirs, or int [M]; None: of trials that others trained.
        Raises InputError where the disk does not take them.
        """
        rows = np.asarray(trials, np.int64)
        values = dict(outcomes)
        if layout is not None:
            values["layout"] = np.full(rows.size, layout, np.uint16)
        status = np.where(values.pop("diverged"), DIVERGED, FINISHED).astype(np.uint8)
        with refusals(
            self.workdir,
            "; what is finished is kept: make room and give the same command again",
        ):
            writes = [self._arrays[k][rows].write(v) for k, v in values.items()]
            for write in writes:
                write.result()
            self._arrays["status"][rows].write(status).result()


def open_store(workdir: Path, config: RunConfig) -> TrialStore:
    """Open a workdir's trials to read them; raises InputError where an array is lost."""
    root = workdir / "trials.zarr"
    arrays = {}
    for quantity in config.quantities:
        path = root / quantity.name
        if quantity.name == "layout" and not path.exists():
            continue  # of the first workdirs of format 3
        try:
            arrays[quantity.name] = open_array(path).result()
        except (OSError, ValueError) as error:
            raise InputError(f"cannot open {path}: {reason(error)}; {AGAIN}") from error
    return TrialStore(workdir, arrays)


def create_store(workdir: Path, config: RunConfig, trials: int) -> TrialStore:
    """Open a workdir's trials to write them, with room for at least `trials` rows.

    Raises InputError where the disk does not take it.
    """
    root = workdir / "trials.zarr"
    with refusals(workdir):
        make_group(root)
        arrays = {
            quantity.name: _create_array(root, quantity, config.sizes, trials)
            for quantity in config.quantities
        }
    return TrialStore(workdir, arrays)


def _create_array(
    root: Path, quantity: Quantity, sizes: Sizes, trials: int
) -> ts.TensorStore:
    path, row = root / quantity.name, quantity.row_shape(sizes)
    most = max(1, min(CHUNK_TRIALS, CHUNK_BYTES // quantity.row_bytes(sizes)))
    chunk = 2 ** (most.bit_length() - 1)
    try:
        array = open_array(path).result()
    except ValueError:  # it is not there, or its description is damaged
        (path / "zarr.json").unlink(missing_ok=True)
        dtype = quantity.dtype_of(sizes).name
        metadata = describe((trials, *row), (chunk, *row), dtype, quantity.fill)
        array = open_array(path, metadata).result()
    if array.shape[0] < trials:
        larger: list[int | None] = [trials, *[None] * len(row)]
        array = array.resize(exclusive_max=larger, expand_only=True).result()
    return array
