"""Which trials of a workdir are a process's own, where several train into it at once.

A process owns whole chunks of the store, so that no two write to one file.
"""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxmem.errors import InputError
from jaxmem.storage.store import CHUNK_TRIALS

WAY = "give --share=I/N with 0 <= I < N, such as 0/4, 1/4, 2/4 and 3/4"
AUTO = (
    "--share=auto reads SLURM_ARRAY_TASK_ID, _COUNT and _MIN, and --share=auto/N "
    "JOB_COMPLETION_INDEX of Kubernetes"
)


class Share(NamedTuple):
    """The trials of every `count`-th chunk, from chunk `index` on."""

    index: int  # type: ignore[assignment]  # 0 … count - 1; hides tuple.index
    count: int  # type: ignore[assignment]  # hides tuple.count

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def name(self) -> str:
        """A name for files of its own."""
        return f"share-{self.index}-of-{self.count}"

    def owns(self, trials: np.ndarray) -> np.ndarray:
        """Which of the trials, int [M], are its own: bool [M]."""
        return np.asarray(trials) // CHUNK_TRIALS % self.count == self.index

    def check(self, trials: int) -> None:
        """Raises InputError where so many trials leave some share of this count nothing."""
        chunks = -(-trials // CHUNK_TRIALS)
        if self.count > chunks:
            raise InputError(
                f"--share={self}: {trials:,} trials are {chunks} chunks of {CHUNK_TRIALS}, "
                f"so at most {chunks} shares have work; give a smaller N or more --trials"
            )


def parse_share(text: str, environment: Mapping[str, str] = os.environ) -> Share:
    """The share that "I/N" names, or "auto" and "auto/N" in a scheduler's environment.

    Raises InputError for what is neither, is out of range, or is not in the environment.
    """
    found = re.fullmatch(r"(\d+)/(\d+)|auto(?:/(\d+))?", text.strip())
    if found is None:
        raise InputError(f"--share={text} is no share: {WAY}; or auto")
    index, count, number = found.groups()
    if index is None:
        return _from_environment(text, int(number) if number else None, environment)
    return _in_range(text, int(index), int(count))


def _from_environment(
    text: str, count: int | None, environment: Mapping[str, str]
) -> Share:
    def whole(name: str, default: str) -> int:
        value = environment.get(name, default)
        if not value.isdecimal():
            raise InputError(f"--share={text}: {name} is {value!r}, no number; {WAY}")
        return int(value)

    if "SLURM_ARRAY_TASK_ID" in environment:
        first = whole("SLURM_ARRAY_TASK_MIN", "0")
        step = max(1, whole("SLURM_ARRAY_TASK_STEP", "1"))
        index = (whole("SLURM_ARRAY_TASK_ID", "") - first) // step
        return _in_range(text, index, count or whole("SLURM_ARRAY_TASK_COUNT", ""))
    if "JOB_COMPLETION_INDEX" not in environment:
        raise InputError(f"--share={text} finds no scheduler: {AUTO}; or {WAY}")
    if count is None:
        raise InputError(
            "--share=auto: Kubernetes tells a pod its index but not of how many; give "
            "--share=auto/N, N the job's completions"
        )
    return _in_range(text, whole("JOB_COMPLETION_INDEX", ""), count)


def _in_range(text: str, index: int, count: int) -> Share:
    if not index < count:
        raise InputError(f"--share={text}: there is no share {index} of {count}; {WAY}")
    return Share(index, count)
