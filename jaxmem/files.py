"""Files that are replaced whole, and Zarr v3 arrays (through TensorStore)."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorstore as ts


def open_array(path: Path, metadata: dict | None = None) -> ts.Future:
    """Open an array; with `metadata`, create it if it does not exist."""
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{path}/"},
        "recheck_cached_data": True,
        "recheck_cached_metadata": True,
    }
    return ts.open(
        spec if metadata is None else {**spec, "metadata": metadata},
        open=True,
        create=metadata is not None,
    )


def describe(
    shape: Sequence[int], chunk: Sequence[int], dtype: str, fill: int | str
) -> dict[str, Any]:
    """The metadata of an array, compressed lightly."""
    return {
        "shape": list(shape),
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(chunk)},
        },
        "data_type": dtype,
        "fill_value": fill,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "zstd", "configuration": {"level": 1, "checksum": True}},
        ],
    }


def make_group(path: Path, **attributes) -> None:
    """Create a folder of arrays."""
    path.mkdir(exist_ok=True)
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    write_json(path / "zarr.json", group)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file whole."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, moved to `path` when all went well and removed when not.

    It may become a file or a folder.
    """
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield partial
        if path.is_dir():
            shutil.rmtree(path)
        partial.replace(path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
