"""Decoded rows on disk: a folder of .npy files, written once and mapped ever after.

<name>-<key>/about.json                   format, class names, what was left out
             train_images.npy  [N, H, W, C]      test_images.npy  [E, H, W, C]
             train_labels.npy  int32 [N]         …
             train_ids.npy     str [N]
             train_names.npy   str [N]
"""

import contextlib
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmem._shared.files import read_json, read_npy, sync, write_json
from jaxmem.data.dataset import Examples
from jaxmem.data.images import ids_of

FORMAT = 1  # of the folder, and of how images are decoded
LOOKED_AT = 64  # rows a split whose pixels are held against their ids when mapped


class Prepared(NamedTuple):
    """What a folder holds."""

    train: Examples
    test: Examples
    num_classes: int
    class_names: tuple[str, ...]
    skipped: tuple[int, str]  # images left out as unreadable, and the first, with why


@contextlib.contextmanager
def writing_rows(path: Path, shape: tuple[int, ...], dtype) -> Iterator[Callable]:
    """A function that appends a row [*shape] to an .npy file, on disk when this ends.

    The header, whose number of rows is only known then, keeps its length.
    """
    count = 0

    def header() -> None:
        fields: dict[str, Any] = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": (count, *shape),
        }
        np.lib.format.write_array_header_1_0(file, fields)

    def append(row: np.ndarray) -> None:
        nonlocal count
        file.write(np.ascontiguousarray(row, dtype).data)
        count += 1

    with open(path, "wb") as file:
        header()
        yield append
        file.seek(0)
        header()
        file.flush()
        os.fsync(file.fileno())


def finish(
    folder: Path,
    splits: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    num_classes: int,
    class_names: tuple[str, ...],
    skipped: tuple[int, str],
) -> None:
    """Write, beside the images of each split, its labels, ids and names; and about.json."""
    for split, parts in splits.items():
        for part, values in zip(Examples._fields[1:], parts, strict=True):
            np.save(folder / f"{split}_{part}.npy", values)
            sync(folder / f"{split}_{part}.npy")
    about = {
        "format": FORMAT,
        "checksum": _checksum(*splits["train"], *splits["test"]),
        "num_classes": num_classes,
        "class_names": list(class_names),
        "skipped": list(skipped),
    }
    write_json(folder / "about.json", about)


def open_prepared(folder: Path) -> Prepared:
    """Map a folder; raises whatever a missing, damaged or foreign one ends in.

    All but the images is held against a checksum. Images must have their full length, and
    some rows their ids: reading all of them would take as long as their disk needs.
    """
    about = read_json(folder / "about.json")
    train, test = (
        Examples(*(read_npy(folder / f"{split}_{part}.npy") for part in Examples._fields))
        for split in ("train", "test")
    )
    if about["format"] != FORMAT or about["checksum"] != _checksum(*train[1:], *test[1:]):
        raise ValueError(f"{folder} is damaged")
    for split in (train, test):
        count = len(split.ids)
        some = np.unique(np.linspace(0, count - 1, LOOKED_AT).astype(int))
        if len(split.images) != count or split.images.shape[1:] != train.images.shape[1:]:
            raise ValueError(f"{folder} lacks images")
        if not np.array_equal(ids_of(split.images[some]), split.ids[some]):
            raise ValueError(f"{folder} has other images than it had")
    names, skipped = tuple(about["class_names"]), about["skipped"]
    return Prepared(train, test, about["num_classes"], names, tuple(skipped))


def _checksum(*arrays: np.ndarray) -> int:
    found = 0
    for array in arrays:
        about = f"{array.dtype.str}{array.shape}".encode()
        found = zlib.crc32(np.ascontiguousarray(array).data, zlib.crc32(about, found))
    return found
