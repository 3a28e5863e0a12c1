"""A workdir's finished trials as a `Run`."""

from pathlib import Path

import numpy as np

from jaxmem._shared.files import location, reason
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run
from jaxmem.storage.config import read_config
from jaxmem.storage.integrity import find_damage
from jaxmem.storage.schema import DIVERGED, FINISHED, MISSING
from jaxmem.storage.store import open_store
from jaxmem.storage.workdir import read_index


def open_run(workdir: str | Path) -> Run:
    """Open the finished trials of a workdir.

    Each trial's rows are compared with each other; those of damaged files are left out.
    Raises InputError if the folder, or that of a bucket, holds no run or one of another
    format, or cannot be read.
    """
    workdir = location(workdir)
    try:
        there = (workdir / "config.json").exists()
    except OSError as error:
        raise InputError(f"cannot read {workdir}: {reason(error)}") from error
    if not there:
        raise InputError(f"{workdir} holds no jaxmem run")
    config = read_config(workdir)
    index = read_index(workdir)
    store = open_store(workdir, config)
    damage = find_damage(store, config)
    status = store.status()
    return Run(
        workdir=workdir,
        config=config,
        trials=np.setdiff1d(np.flatnonzero(status == FINISHED), damage.trials),
        diverged=int((status == DIVERGED).sum()),
        reader=store,
        **{
            **index._asdict(),
            "class_names": tuple(index.class_names.tolist()),
            "tr_groups": index.tr_groups if index.tr_groups.size else None,
        },
        damage=damage,
        missing=int((status == MISSING).sum()),
    )
