"""The masks that a run was given, WORKDIR/masks.npy, so that more may follow."""

from pathlib import Path

import numpy as np

from jaxmem._shared.files import read_npy, refusals, replacing

MASKS = "masks.npy"  # bits, uint8 [T, ceil(N / 8)]


def read_masks(workdir: Path) -> np.ndarray | None:
    """The bits of a workdir's masks; None of the first workdirs of format 3.

    Raises InputError for a damaged file.
    """
    path = workdir / MASKS
    return read_npy(path) if path.exists() else None


def write_masks(workdir: Path, bits: np.ndarray) -> None:
    """Write masks.npy, whole."""
    with refusals(workdir), replacing(workdir / MASKS) as partial, open(partial, "wb") as f:
        np.save(f, bits)


def agree(known: np.ndarray | None, bits: np.ndarray) -> bool:
    """Whether of two runs' masks all rows that both have are the same."""
    if known is None:
        return False
    both = min(len(known), len(bits))
    return np.array_equal(known[:both], bits[:both])
