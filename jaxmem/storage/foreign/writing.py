"""What others trained, as the files of a workdir."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxmem.storage.config import RunConfig, write_config
from jaxmem.storage.foreign.arrays import Checked
from jaxmem.storage.foreign.numbers import blocks_of
from jaxmem.storage.schema import DIVERGED, MISSING
from jaxmem.storage.store import TrialStore, create_store
from jaxmem.storage.workdir import Index, write_index


def write_checked(folder: Path, name: str, checked: Checked) -> TrialStore:
    """Fill a new folder; raises InputError where the disk does not take it."""
    config = _config(name, checked)
    write_config(folder, config)
    write_index(folder, _index(checked))
    store = create_store(folder, config, len(checked.masks))
    for block in blocks_of("writing", len(checked.masks)):
        rows = block.start + np.flatnonzero(checked.status[block] != MISSING)
        if rows.size:
            store.append(rows.tolist(), _outcomes(checked, rows))
    return store


def _config(name: str, checked: Checked) -> RunConfig:
    labels = checked.tr_labels, checked.tt_labels
    return RunConfig(
        dataset=name,
        data=hashlib.sha256(b"".join(a.tobytes() for a in labels)).hexdigest()[:16],
        train_size=checked.tr_labels.size,
        test_size=checked.tt_labels.size,
        num_classes=int(max(a.max() for a in labels)) + 1,
        image_shape=None,
        inputs=None,
        model="foreign",
        parameters=None,
        recipe=None,
        subset_fraction=None,
        subset_size=None,
        sampling="given",
        masks=checked.digest,
        seed=None,
        batching=None,
        margins=checked.margins,
        probabilities=False,
    )


def _index(checked: Checked) -> Index:
    train, test = (
        np.arange(len(x)).astype(str) for x in (checked.tr_labels, checked.tt_labels)
    )
    return Index(
        checked.tr_labels,
        checked.tt_labels,
        np.strings.add("train-", train),
        np.strings.add("test-", test),
        train,
        test,
        checked.class_names,
    )


def _outcomes(checked: Checked, rows: np.ndarray) -> dict[str, Any]:
    masks = checked.masks[rows] != 0
    train, test = checked.train[rows], checked.test[rows]
    train_correct, test_correct = train > 0, test > 0
    fitted = (train_correct & masks).sum(axis=1)
    outcomes = {
        "included": np.packbits(masks, axis=1),
        "train_correct": np.packbits(train_correct, axis=1),
        "test_correct": np.packbits(test_correct, axis=1),
        "train_accuracy": (fitted / masks.sum(axis=1)).astype(np.float32),
        "test_accuracy": test_correct.mean(axis=1, dtype=np.float32),
        "final_loss": np.full(rows.size, np.nan, np.float32),
        "diverged": checked.status[rows] == DIVERGED,
    }
    if checked.margins:
        outcomes |= {"train_margin": _float16(train), "test_margin": _float16(test)}
    return outcomes


def _float16(values: np.ndarray) -> np.ndarray:
    """To float16, whose largest number stands for all larger ones, and for infinity."""
    most = float(np.finfo(np.float16).max)
    return np.clip(values, -most, most).astype(np.float16)
