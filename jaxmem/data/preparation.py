"""Decode each image once, in threads, into files that every later start maps."""

import contextlib
import dataclasses
import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmem._shared.cache import cache_dir
from jaxmem._shared.files import reason, sync
from jaxmem._shared.locks import alone
from jaxmem._shared.progress import progress, say
from jaxmem.data.dataset import Dataset
from jaxmem.data.decoding import Coloured, Unreadable, size_of
from jaxmem.data.labels import Labels, read_labels
from jaxmem.data.options import Options
from jaxmem.data.prepared import FORMAT, Prepared, finish, open_prepared, writing_rows
from jaxmem.data.rows import Row, Rows, Source, groups_of
from jaxmem.data.threads import decode_row, decode_rows, unreadable
from jaxmem.errors import InputError


def prepare(source: Source, options: Options) -> Dataset:
    """The examples of a source, decoded: mapped from the cache, where they are put first.

    Raises InputError, with nothing left behind, for images that cannot be read or differ
    in size, labels that are no classes, and a cache without room.
    """
    folder = _folder(source, options)
    found = _find(folder)
    if found is None:
        lock, what = folder.with_name(f".{folder.name}.lock"), f"decoding {source.name}"
        with _writable(folder.parent), alone(lock, what):
            found = _find(folder) or _make(folder, source, options)
    count, first = found.skipped
    if count:
        say(f"{source.name}: {count} unreadable images are left out, the first {first}")
    named = found.num_classes, found.class_names
    data = Dataset(source.name, found.train, found.test, *named, source.recipes)
    return data._replace(groups=groups_of(source.train, found.train.names))


def _folder(source: Source, options: Options) -> Path:
    said = dataclasses.replace(options, data_dir=None)  # the state knows what is there
    given = FORMAT, source.state, source.class_names, source.channels, said
    key = hashlib.sha256(repr(given).encode()).hexdigest()[:16]
    title = source.name.split(":")[0]  # mnist:3.0.1 may be what mnist is
    name = re.sub(r"[^\w.-]+", "-", title)[:100]
    return cache_dir() / "data" / f"{name}-{key}"


def _find(folder: Path) -> Prepared | None:
    try:
        return open_prepared(folder)
    except Exception:  # absent, damaged, or written by another version: decode anew
        return None


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Turn what the system says of writing there into InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(
            f"cannot keep decoded images in {folder}: {reason(error)}; name another folder "
            "in the environment variable JAXMEM_CACHE"
        ) from error


def _make(folder: Path, source: Source, options: Options) -> Prepared:
    """Decode into a folder beside it that takes its place when it is whole."""
    partial = folder.with_name(f".{folder.name}.partial")
    _remove(partial)  # of a process that was killed
    try:
        _check_known_labels(source)
        first = _first_image(source, options)
        _check_room(folder.parent, source, first)
        channels = source.channels or first.shape[-1]
        try:
            _write(partial, source, options, first, channels)
        except Coloured:  # the first images were grey, this one is not
            _remove(partial)
            first = first.repeat(3, axis=-1)
            _write(partial, source, options, first, channels=3)
        _remove(folder)
        partial.rename(folder)
        sync(folder.parent)
    except InputError as error:
        if source.name in str(error):
            raise
        raise InputError(f"{source.name}: {error}") from None
    finally:
        _remove(partial)
    return open_prepared(folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _check_known_labels(source: Source) -> None:
    """Where labels are known without reading, refuse bad ones before hours of decoding."""
    if source.train.labels is not None and source.test.labels is not None:
        _number(source, source.train.labels, source.test.labels)


def _number(source: Source, train, test) -> Labels:
    for split, labels in (("train", train), ("test", test)):
        if -1 in labels:
            raise InputError(
                f"{split} has rows without a label (-1); give other splits: train_split=… "
                "and test_split=…, or test_fraction=…"
            )
    return read_labels(train, test, (len(train), len(test)), None, source.class_names)


def _first_image(source: Source, options: Options) -> np.ndarray:
    """The first that can be read, which says what all take on disk."""
    size, rows = options.image_size, source.train
    for row in rows.read(np.arange(rows.count)):
        try:
            return decode_row(row, size, source.channels)
        except Unreadable as error:
            if not options.skip_unreadable:
                raise unreadable(row, error) from None
    raise InputError(f"none of {rows.count} images can be read")


def _check_room(cache: Path, source: Source, first: np.ndarray) -> None:
    needed = (source.train.count + source.test.count) * first.nbytes
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise InputError(
            f"its decoded images take {needed / 1e9:.2f} GB, but {cache} has "
            f"{free / 1e9:.2f} GB free; make room, give a smaller image_size, or name "
            "another folder in the environment variable JAXMEM_CACHE"
        )


class _Split(NamedTuple):
    """What is kept of a split beside its images, and what was left out."""

    labels: list[int | str]
    ids: list[str]
    names: list[str]
    skipped: list[str]


def _write(
    partial: Path, source: Source, options: Options, first: np.ndarray, channels: int
) -> None:
    """Decode both splits into a new folder, to the disk."""
    partial.mkdir()
    splits: dict[str, _Split] = {}
    for split in ("train", "test"):
        path = partial / f"{split}_images.npy"
        if split == "test" and source.test is source.train:
            shutil.copyfile(partial / "train_images.npy", path)
            sync(path)
            splits["test"] = splits["train"]._replace(skipped=[])
            continue
        what, rows = f"decoding {source.name} {split}", getattr(source, split)
        splits[split] = _write_split(path, rows, what, options, first, channels)
    train, test = splits["train"], splits["test"]
    labels = _number(source, train.labels, test.labels)
    parts = {
        split: (numbers, np.array(kept.ids, "U16"), np.array(kept.names))
        for split, kept, numbers in (
            ("train", train, labels.train),
            ("test", test, labels.test),
        )
    }
    skipped = train.skipped + test.skipped
    left_out = len(skipped), skipped[0] if skipped else ""
    finish(partial, parts, labels.num_classes, labels.class_names, left_out)
    sync(partial)


def _write_split(
    path: Path, rows: Rows, what: str, options: Options, first: np.ndarray, channels: int
) -> _Split:
    """Decode a split into an .npy file of images like the first."""
    kept, start, done = _Split([], [], [], []), time.perf_counter(), 0
    with (
        writing_rows(path, first.shape, first.dtype) as append,
        progress(what, rows.count, "rows") as bar,
    ):
        for chunk in decode_rows(rows, options.image_size, channels):
            for row, result in chunk:
                if isinstance(result, Unreadable):
                    _skip(row, result, kept, options)
                    continue
                pixels, id_ = result
                if pixels.shape != first.shape or pixels.dtype != first.dtype:
                    raise InputError(_sizes(rows))
                append(pixels)
                kept.labels.append(row.label)
                kept.ids.append(id_)
                kept.names.append(row.name)
            done += len(chunk)
            bar.update(len(chunk))
            bar.set_postfix_str(f"{done / (time.perf_counter() - start):,.0f} rows/s")
    return kept


def _skip(row: Row, error: Unreadable, kept: _Split, options: Options) -> None:
    if not options.skip_unreadable:
        raise unreadable(row, error)
    kept.skipped.append(f"{row.name}: {error}")


def _sizes(rows: Rows, look: int = 1000, most: int = 5) -> str:
    """What to say where not all images are of one size."""
    chosen = np.unique(np.linspace(0, rows.count - 1, look).astype(int))
    found = {size for row in rows.read(chosen) if (size := size_of(row.image))}
    sizes = ", ".join(f"{h} x {w}" for h, w in sorted(found)[:most])
    more = f", … ({len(found)} sizes)" if len(found) > most else ""
    return (
        f"images differ in size (height x width: {sizes}{more}); give image_size=… to "
        "bring all to one"
    )
