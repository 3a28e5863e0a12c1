"""A workdir's lock, and which examples its rows and columns are.

WORKDIR/config.json     everything that decides the results: `storage.config`
WORKDIR/examples.npz    labels, ids and names of train and test
WORKDIR/plan.json       the layout chosen for each kind of machine: `running.planning`
WORKDIR/trials.zarr/    what each trial left: `storage.schema`, `storage.store`
WORKDIR/models/         kept models, and in_flight/ those in training: `storage.checkpoints`
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmem._shared.files import read_npz, refusals, replacing
from jaxmem._shared.locks import NO_LOCKS
from jaxmem._shared.progress import say
from jaxmem.data import Dataset
from jaxmem.errors import InputError


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Create the workdir if need be, and be its only writer; readers need no lock.

    Raises InputError if it cannot be written, is somebody else's folder or has a writer.
    """
    with refusals(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        files = [f.name for f in workdir.iterdir()]
        strangers = [f for f in files if f != "lock" and not f.startswith(".")]
        if strangers and "config.json" not in strangers:
            raise InputError(
                f"{workdir} holds other files ({strangers[0]}, …) and no jaxmem run; "
                "give a new --workdir"
            )
        file = open(workdir / "lock", "w")
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


class Index(NamedTuple):
    """What the rows and columns of a run's estimates are: examples.npz."""

    tr_labels: np.ndarray  # int32 [N]
    tt_labels: np.ndarray  # int32 [E]
    tr_ids: np.ndarray  # str [N]
    tt_ids: np.ndarray  # str [E]
    tr_names: np.ndarray  # str [N], by which the owner finds them
    tt_names: np.ndarray  # str [E]
    class_names: np.ndarray  # str [K], or [0] where classes are just numbers

    @classmethod
    def of(cls, data: Dataset) -> "Index":
        """Those of a dataset."""
        train, test = data.train, data.test
        return cls(
            *(train.labels, test.labels, train.ids, test.ids, train.names, test.names),
            np.array(data.class_names, str),
        )


def write_index(workdir: Path, index: Index) -> None:
    """Write examples.npz, unless the same stands there whole."""
    path = workdir / "examples.npz"
    try:
        stored = read_index(workdir)
        if all(map(np.array_equal, stored, index)):
            return
    except InputError:
        pass  # absent or damaged
    with refusals(workdir), replacing(path) as partial:
        np.savez(partial, **index._asdict())


def read_index(workdir: Path) -> Index:
    """Read examples.npz; raises InputError where that cannot be done."""
    path = workdir / "examples.npz"
    stored = read_npz(path)
    if lacking := set(Index._fields) - set(stored):
        raise InputError(f"{path} lacks {', '.join(sorted(lacking))}")
    return Index(**{name: stored[name] for name in Index._fields})
