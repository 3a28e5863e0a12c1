"""Which training examples belong together: a patient's, a session's, copies of one image.

All of a group are in a subset, or out of it, together: else what a model learns from one is
there when another is left out, and neither looks memorized.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmem._shared.files import local_path, read_npy
from jaxmem.data.dataset import Dataset
from jaxmem.data.neighbours import MOST, near_copies
from jaxmem.errors import InputError

COPIES = ("duplicates", "near-duplicates")  # groups that are found, not given


class Groups(NamedTuple):
    """The groups of N training examples, 0, 1, … as they first appear."""

    number: np.ndarray  # int32 [N]
    names: np.ndarray  # str [N], each example's group's

    @classmethod
    def of(cls, names: np.ndarray) -> "Groups":
        """Of each example's group's name, str [N]."""
        _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))
        return cls(rank[inverse].astype(np.int32), names)

    @property
    def sizes(self) -> np.ndarray:
        """How many examples each group has: int64 [G]."""
        return np.bincount(self.number)

    def named(self, group: int) -> str:
        """A group's name."""
        return str(self.names[np.argmax(self.number == group)])


def read_groups(groups, data: Dataset) -> Groups:
    """The groups that are meant, of the training examples of a dataset.

    groups: "duplicates", what is the same value for value; "near-duplicates", also what is
    nearly (`neighbours.near_copies`); the path of an .npy file, or an array: each example's
    group, numbers or text [N], such as `data.groups`. Raises InputError for what
    does not say each row's group.
    """
    n = data.train.labels.size
    if isinstance(groups, str | os.PathLike) and str(groups) not in COPIES:
        groups = _load(local_path(os.fspath(groups)))
    if isinstance(groups, str):
        if groups == "near-duplicates" and n > MOST:
            raise InputError(
                f"near-duplicates among {n:,} training examples, more than {MOST:,}, take "
                "too long to find; give groups in an .npy file"
            )
        nearly = groups == "near-duplicates"
        first = near_copies(data.train) if nearly else _same(data.train.ids)
        return Groups.of(data.train.names[first])
    found = np.asarray(groups)
    if found.shape != (n,):
        raise InputError(
            f"groups have shape {list(found.shape)}; expected [{n}], a group of each "
            "training example"
        )
    if found.dtype == object:
        lacking = np.array([g is None or g != g for g in found])
        found = np.where(lacking, "", found.astype(str))
    elif found.dtype.kind in "biu":
        found = found.astype(str)
        lacking = np.zeros(n, bool)
    elif found.dtype.kind == "U":
        lacking = found == ""
    else:
        raise InputError(f"groups are {found.dtype}; expected whole numbers or text")
    if lacking.any():
        raise InputError(
            f"groups lack those of {lacking.sum():,} of {n:,} rows, the first in row "
            f"{np.argmax(lacking)}; give a row that stands alone a group of its own"
        )
    return Groups.of(found)


def _same(ids: np.ndarray) -> np.ndarray:
    """The first row of each row's content: int64 [N]."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    return first[inverse]


def _load(path: Path) -> np.ndarray:
    if path.suffix != ".npy":
        raise InputError(
            f"unknown groups {str(path)!r}; give {', '.join(COPIES)}, or an .npy file with "
            "each training example's group"
        )
    return read_npy(path)
