"""Finished trials on their way into a store."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxmem._shared.objects import in_bucket
from jaxmem.storage.store import CHUNK_TRIALS, TrialStore

# Cloud Storage takes one write a second to an object, and each append writes a chunk anew.
SECONDS = 45.0


class Appends:
    """Stores finished trials: in a folder at once; in a bucket as many as a chunk has.

    There, fewer are stored if the last time is SECONDS ago, and at the end (`flush`).
    check: raises where nothing may be stored any more.
    """

    def __init__(self, store: TrialStore, check: Callable[[], None]):
        self._store, self._check = store, check
        self._most = CHUNK_TRIALS if in_bucket(store.workdir) else 1
        self._waiting: list[tuple[list[int], dict[str, Any], int]] = []
        self._stored = -np.inf

    def add(self, trials: list[int], outcomes: dict[str, Any], layout: int) -> None:
        """As `TrialStore.append`, now or later."""
        self._waiting.append((trials, outcomes, layout))
        count = sum(len(part[0]) for part in self._waiting)
        if count >= self._most or time.monotonic() - self._stored > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store what is waiting."""
        self._check()
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        trials = [trial for numbers, _, _ in waiting for trial in numbers]
        layouts = [layout for numbers, _, layout in waiting for _ in numbers]
        rows = [outcomes for _, outcomes, _ in waiting]
        together = {k: np.concatenate([part[k] for part in rows]) for k in rows[0]}
        self._store.append(trials, together, np.array(layouts))
        self._stored = time.monotonic()
