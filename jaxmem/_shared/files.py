"""Files that are read and replaced whole."""

import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, cast

import numpy as np

from jaxmem._shared.objects import URL, ObjectPath, in_bucket, said, upload
from jaxmem.errors import InputError

DONE = "zarr.json"  # of a folder of arrays; in a bucket it comes last


def local_path(path: str | Path) -> Path:
    """A path of this machine's file system, ~ expanded.

    Raises InputError for a URL, and for a name that is not UTF-8 (TensorStore takes none).
    """
    text = os.fspath(path)
    if "://" in text or URL.match(text):
        raise InputError(f"{text} is a URL; give a folder or file of this machine")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{text!r} is not UTF-8; give another name") from None
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # nobody's home
        raise InputError(f"{text}: {error}; write the path in full") from None


def location(path: str | Path) -> Path:
    """A path of this machine, or of a bucket: gs://BUCKET/FOLDER, s3://BUCKET/FOLDER.

    Of a bucket it is an `ObjectPath`, which has the methods of Path that we use. Raises
    InputError for other URLs, and as `local_path`.
    """
    text = os.fspath(path)
    if URL.match(text):
        found = ObjectPath(text)
        if len(found.parts) < 3:
            raise InputError(f"{text} is a bucket; give a folder in it, as {found}/run")
        return cast(Path, found)
    if "://" in text:
        raise InputError(f"{text}: give a folder, gs://BUCKET/FOLDER or s3://BUCKET/FOLDER")
    return local_path(text)


def read_json(path: Path) -> Any:
    """The value of a JSON file; raises InputError, naming it, where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {reason(error)}") from None


def read_npz(path: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, or those of `names` that it has.

    Raises InputError, naming the file, where it cannot be read.
    """
    with _readable(path, ".npz"), path.open("rb") as opened:  # np.load may leave it open
        file = np.load(opened, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array")
        return {name: file[name] for name in file if names is None or name in names}


def read_npy(path: Path) -> np.ndarray:
    """The array of an .npy file, memory-mapped where it can be; raises InputError."""
    with _readable(path, ".npy"):
        if in_bucket(path):
            with path.open("rb") as opened:
                array = np.load(opened, allow_pickle=False)
        else:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it holds several arrays")
        return array


@contextlib.contextmanager
def _readable(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except Exception as error:  # zip, zlib and NumPy's parser end in whatever they meet
        pickled = " (save its objects as numbers or text)" if "pickle" in str(error) else ""
        raise InputError(
            f"{path} is no readable {kind} file: {reason(error)}{pickled}"
        ) from error


def reason(error: Exception) -> str:
    """What an error says: the system's words where there are some, else its first line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = said(error)
    start = max(text.find("[OS error"), 0)  # of TensorStore
    return next(iter(text[start:].splitlines()), type(error).__name__)[:200]


@contextlib.contextmanager
def refusals(folder: PurePath, way_out: str = "") -> Iterator[None]:
    """Raises InputError where files cannot be written to a folder."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:  # TensorStore's are ValueErrors
        raise InputError(f"cannot write to {folder}: {reason(error)}{way_out}") from error


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file whole."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, moved to `path` when all went well and removed when not.

    It may become a file, or a folder of arrays (`make_group`); after a power cut there is
    the old or the new one, whole. In a bucket, a folder has its zarr.json only when it has
    all else. Raises InputError where a folder is in the way that is no older version of it.
    """
    if in_bucket(path):
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder) / path.name
            yield here
            _put(here, path)
        return
    # Processes on other machines, or in other containers, have the same numbers.
    partial = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        if path.is_dir():
            _check_replaces(partial, path)
            shutil.rmtree(path)
        if partial.is_file():
            sync(partial)
        partial.replace(path)
        sync(path.parent)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)


def _put(partial: Path, path: ObjectPath) -> None:
    """Copy what replaces an object, or a folder, into its bucket."""
    if path.is_dir():
        _check_replaces(partial, path)
        (path / DONE).unlink(missing_ok=True)
        path.rmtree()
    if partial.is_dir():
        upload(partial, path, last=DONE)
    else:
        path.write_bytes(partial.read_bytes())


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it; nothing may be there."""
    if in_bucket(path):
        path.rmtree()
    elif path.is_dir():
        return shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _check_replaces(partial: Path, path: Path | ObjectPath) -> None:
    if not (partial.is_dir() and _attributes(path) == _attributes(partial)):
        raise InputError(f"{path} is a folder of something else; move it away")


def _attributes(folder: Path | ObjectPath) -> set[str] | None:
    """What a folder of arrays says of itself; None for any other folder."""
    try:
        return set(read_json(cast(Path, folder / DONE))["attributes"])
    except (InputError, KeyError, TypeError):
        return None


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
