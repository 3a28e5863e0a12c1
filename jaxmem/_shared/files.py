"""Files that are read and replaced whole."""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmem.errors import InputError


def local_path(path: str | Path) -> Path:
    """A path of this machine's file system, ~ expanded.

    Raises InputError for a URL, and for a name that is not UTF-8 (TensorStore takes none).
    """
    text = os.fspath(path)
    if "://" in text or text.startswith(("gs:/", "s3:/")):  # Path() makes one / of two
        raise InputError(f"{text} is a URL; give a folder or file of this machine")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{text!r} is not UTF-8; give another name") from None
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # nobody's home
        raise InputError(f"{text}: {error}; write the path in full") from None


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
    with _readable(path, ".npz"), open(path, "rb") as opened:  # np.load may leave it open
        file = np.load(opened, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array")
        return {name: file[name] for name in file if names is None or name in names}


def read_npy(path: Path) -> np.ndarray:
    """The array of an .npy file, memory-mapped where it can be; raises InputError."""
    with _readable(path, ".npy"):
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
    text = str(error).strip()
    start = max(text.find("[OS error"), 0)  # of TensorStore
    return next(iter(text[start:].splitlines()), type(error).__name__)[:200]


@contextlib.contextmanager
def refusals(folder: Path, way_out: str = "") -> Iterator[None]:
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
    the old or the new one, whole. Raises InputError where a folder is in the way that is no
    older version of it.
    """
    # Processes on other machines, or in other containers, have the same numbers.
    partial = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        if path.is_dir():
            if not (partial.is_dir() and _attributes(path) == _attributes(partial)):
                raise InputError(f"{path} is a folder of something else; move it away")
            shutil.rmtree(path)
        if partial.is_file():
            sync(partial)
        partial.replace(path)
        sync(path.parent)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)


def _attributes(folder: Path) -> set[str] | None:
    """What a folder of arrays says of itself; None for any other folder."""
    try:
        return set(read_json(folder / "zarr.json")["attributes"])
    except (InputError, KeyError, TypeError):
        return None


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
