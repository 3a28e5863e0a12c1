"""Zarr v3 arrays, through TensorStore."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorstore as ts

from jaxmem._shared.files import write_json
from jaxmem._shared.objects import in_bucket, shared_context


def open_array(path: Path, metadata: dict | None = None) -> ts.Future:
    """Open an array; with `metadata`, create it if it does not exist."""
    spec = {
        "driver": "zarr3",
        "kvstore": kvstore(path),
        "recheck_cached_data": True,
        "recheck_cached_metadata": True,
    }
    return ts.open(
        spec if metadata is None else {**spec, "metadata": metadata},
        open=True,
        create=metadata is not None,
        context=shared_context() if in_bucket(path) else None,
    )


def kvstore(folder: Path) -> dict[str, Any]:
    """TensorStore's specification of what is in a folder."""
    if in_bucket(folder):
        return folder.kvstore
    return {"driver": "file", "path": f"{folder}/"}


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
