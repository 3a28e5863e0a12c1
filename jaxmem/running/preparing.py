"""A workdir's files: made, or checked and mended, before anything is trained."""

import contextlib
import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from jaxmem._shared.objects import in_bucket
from jaxmem._shared.progress import say
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.running.choosing import Subsets
from jaxmem.storage.config import RunConfig, read_config, write_config
from jaxmem.storage.integrity import find_damage
from jaxmem.storage.masks import agree, read_masks, write_masks
from jaxmem.storage.schema import MISSING
from jaxmem.storage.shares import Share
from jaxmem.storage.store import CHUNK_TRIALS, TrialStore, create_store
from jaxmem.storage.workdir import Index, setting_up, write_index


def prepare(
    workdir: Path,
    config: RunConfig,
    data: Dataset,
    trials: int,
    share: Share | None,
    subsets: Subsets,
) -> TrialStore:
    """Make a new workdir's files, or check that an old one's are of this run.

    Trials that are damaged become missing ones. Of given masks there may be more, or fewer,
    than before, if the first rows agree: the workdir keeps the longer ones.
    """
    with setting_up(workdir) if share else contextlib.nullcontext():
        _settle(workdir, config, subsets.bits)
        names = None if subsets.groups is None else subsets.groups.names
        write_index(workdir, Index.of(data, names))
        store = create_store(workdir, config, trials)
    if share and not store.shared_safely:
        raise InputError(
            f"the store of {workdir} has other chunks than those of {CHUNK_TRIALS} trials "
            "that a share owns: an earlier jaxmem made it; go on without --share, or give "
            "a new --workdir"
        )
    own = own_trials(trials, share) if share else None
    damage = find_damage(store, config, complete=True, trials=own)
    if damage.trials.size:
        say(f"{workdir} is damaged: {damage}; trained again")
    store.forget(damage.trials)
    return store


def _settle(workdir: Path, config: RunConfig, bits: np.ndarray | None) -> None:
    """The configuration, and masks, that a workdir holds from now on."""
    if not (workdir / "config.json").exists():
        write_config(workdir, config)  # first: it makes the folder ours
        if bits is not None:
            write_masks(workdir, bits)
        return
    there, wanted = read_config(workdir), config
    known = None if bits is None else read_masks(workdir)
    if bits is not None and agree(known, bits):
        wanted = dataclasses.replace(config, masks=there.masks)
    differ = [
        f"{term} ({there} there, {here} here)"
        for term, here, there in wanted.differences(there, "resume")
    ]
    if differ:
        raise InputError(
            f"{workdir} holds another run: {', '.join(differ)} differ; give "
            "another --workdir or the same flags and files"
        )
    if bits is not None and (known is None or len(known) < len(bits)):
        write_masks(workdir, bits)
        write_config(workdir, dataclasses.replace(there, masks=config.masks))


def own_trials(trials: int, share: Share | None) -> np.ndarray:
    """The numbers of the trials, of so many, that a share is to train; None: all."""
    numbers = np.arange(trials)
    return numbers if share is None else numbers[share.owns(numbers)]


def missing(store: TrialStore, trials: np.ndarray) -> list[int]:
    """Those of the trials that are not there yet."""
    return trials[store.status(trials) == MISSING].tolist()


def checked(store: TrialStore, config: RunConfig) -> bool:
    """Whether trials of this very network are there already."""
    known = config.network is not None and config.network.source is not None
    return known and bool((store.status() != MISSING).any())


def room(workdir: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array on the workdir's disk, or a disk here, which is gone with the process."""
    with tempfile.TemporaryFile(dir=None if in_bucket(workdir) else workdir) as file:
        return np.memmap(file, dtype, "w+", shape=shape)
