"""Where a training starts: at a kept model, with some parameters frozen."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxmem._shared.files import location, refusals, replacing
from jaxmem._shared.progress import say
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.models import Model
from jaxmem.models.freezing import by_path, digest, frozen, started, values_to_freeze
from jaxmem.running.prediction import FROZEN, kept_model

Trainable = str | Callable[[str], bool]


class Start(NamedTuple):
    """What a training is told."""

    init_from: str | None = None  # WORKDIR/models:trial
    trainable: Trainable | None = None  # "head", or whether a path is trained


class Started(NamedTuple):
    """What became of it."""

    model: Model
    digest: str | None  # of all that is given


def begin(model: Model, start: Start, data: Dataset) -> Started:
    """The model from where it starts, with what it freezes. Raises InputError."""
    shape, parts = data.train.images.shape[1:], []
    if start.init_from is not None:
        params, state = map(by_path, _kept(start.init_from, data))
        model = started(model, params, state)
        _say_fresh(model, shape, params)
        parts.append(digest({**params, **{f"state {k}": v for k, v in state.items()}}))
    if start.trainable is not None:
        values = values_to_freeze(model, shape, start.trainable)
        model = frozen(model, shape, values)
        parts.append(digest(values))
    joined = hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
    return Started(model, joined if parts else None)


def keep_frozen(workdir: Path, model: Model) -> None:
    """Keep what is frozen beside the models, so that they can run again."""
    if model.shared is not None:
        with refusals(workdir), replacing(workdir / FROZEN) as partial:
            np.savez(partial, **model.shared.values)


def _kept(where: str, data: Dataset) -> tuple[Any, Any]:
    folder, _, trial = where.rpartition(":")
    if not folder or not trial.isdecimal():
        raise InputError(f"init from {where!r}: give WORKDIR/models:TRIAL")
    path = location(folder)
    return kept_model(path.parent if path.name == "models" else path, int(trial), data)


def _say_fresh(model: Model, shape: tuple[int, ...], given: dict) -> None:
    image = jax.ShapeDtypeStruct(shape, np.float32)
    whole = by_path(jax.eval_shape(model.init, jax.random.key(0), image)[0])
    fresh = [n for n, a in whole.items() if n not in given or given[n].shape != a.shape]
    if len(fresh) == len(whole):
        raise InputError(
            f"the kept model has no parameter of this network: it has {', '.join(given)}, "
            f"this one {', '.join(whole)}"
        )
    if fresh:
        say(f"parameters that start afresh: {', '.join(fresh)}")
