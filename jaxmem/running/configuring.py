"""From a caller's arguments to a run's configuration, and to its ensemble."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxmem._shared.arguments import number, one_of, whole
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.models import check_model
from jaxmem.models.own import Options
from jaxmem.running.architecture import describe, make_architecture
from jaxmem.running.starting import Start, begin
from jaxmem.storage.config import Inputs, RunConfig
from jaxmem.storage.schema import BY_STORE
from jaxmem.training.augmentation import check_views
from jaxmem.training.batches import Batching
from jaxmem.training.ensemble import Ensemble, make_ensemble
from jaxmem.training.inputs import describe_inputs
from jaxmem.training.keys import root_key
from jaxmem.training.optimizers import check_optimizer, in_words
from jaxmem.training.queries import check_queries
from jaxmem.training.recipes import recipe_for
from jaxmem.training.subsets import (
    SAMPLINGS,
    Sampling,
    SubsetRule,
    most_balanced,
    subset_size,
)
from jaxmem.training.trial import Job, make_job


class Configured(NamedTuple):
    """What is to be trained."""

    config: RunConfig
    job: Job
    ensemble: Callable[..., Ensemble]  # takes placement and room, as `make_ensemble`


def choose_subsets(
    n: int, fraction: float, sampling: Sampling, masks: np.ndarray | None
) -> tuple[np.ndarray | None, SubsetRule]:
    """Bits of the given subsets, uint8 [T, ceil(n / 8)] or None, and how all are drawn."""
    one_of("sampling", sampling, SAMPLINGS)
    if masks is None:
        fraction = number("subset fraction", fraction)
        return None, SubsetRule(n, subset_size(n, fraction), sampling, fraction)
    if sampling != "uniform":
        raise InputError(f"give either masks or sampling {sampling!r}: masks are subsets")
    masks = np.asarray(masks)
    if masks.ndim != 2 or masks.shape[1] != n or masks.dtype != bool or not len(masks):
        raise InputError(
            f"masks are {masks.dtype} {list(masks.shape)}; expected bool [trials, {n}]"
        )
    sizes = np.unique(masks.sum(axis=1))
    if sizes.size > 1 or sizes[0] < 1:
        raise InputError(
            f"masks include {sizes[0]} to {sizes[-1]} examples; every trial of a run must "
            "see equally many, at least 1"
        )
    m = int(sizes[0])
    return np.packbits(masks, axis=1), SubsetRule(n, m, "given", m / n)


def count_trials(trials: int | None, subsets: SubsetRule, bits: np.ndarray | None) -> int:
    """The number of trials; raises InputError where subsets allow fewer."""
    default = 4000 if bits is None else len(bits)
    trials = whole("trials", default if trials is None else trials, least=1)
    if bits is not None and trials > len(bits):
        raise InputError(f"{trials} trials need as many masks, but {len(bits)} are given")
    most = most_balanced(subsets.n, subsets.size) if subsets.size < subsets.n else trials
    if subsets.sampling == "balanced" and trials > most:
        raise InputError(
            f"balanced sampling of {subsets.size} from {subsets.n} examples ends at "
            f"{most:,} trials, {trials:,} are wanted; take another seed for the rest"
        )
    return trials


def configure(
    data: Dataset,
    bits: np.ndarray | None,
    subsets: SubsetRule,
    *,
    model: str,
    options: Options,
    start: Start,
    seed: int,
    batching: Batching,
    margins: bool,
    probabilities: bool,
    dynamics: bool,
    highest_margins: bool,
    queries: Sequence[str],
    recipe: dict,
) -> Configured:
    """The run's configuration, and what makes its ensemble once there is work to do."""
    root = root_key(seed)
    chosen = recipe_for(data.recipes, model, subsets.size, **in_words(recipe))
    check_optimizer(chosen)
    check_views(data.train.images.shape[1:], chosen)
    queries = check_queries(queries, data.train.images.shape[1:])
    if queries and not margins:
        raise InputError("queries are for attacks on margins: give --margins too")
    architecture = make_architecture(
        model, options, data.num_classes, chosen, data.train.images.shape[1:]
    )
    architecture, given = begin(architecture, start, data)
    config = RunConfig(
        dataset=data.name,
        data=data.fingerprint,
        train_size=data.train.labels.size,
        test_size=data.test.labels.size,
        num_classes=data.num_classes,
        image_shape=data.train.images.shape[1:],
        inputs=Inputs(*describe_inputs(data.train.images)),
        model=model,
        # So that another architecture under the same name does not pass for it.
        parameters=check_model(model, architecture, data.train.images, data.num_classes),
        recipe=chosen,
        subset_fraction=subsets.fraction,
        subset_size=None if subsets.sampling == "bernoulli" else subsets.size,
        sampling=subsets.sampling,
        masks=None if bits is None else hashlib.sha256(bits.data).hexdigest()[:16],
        seed=seed,
        batching=batching,
        margins=margins,
        probabilities=probabilities,
        dynamics=dynamics,
        highest_margins=highest_margins,
        queries=queries,
        network=describe(model, options, given),
    )
    quantities = tuple(q.name for q in config.quantities if q.name not in BY_STORE)
    job = make_job(
        architecture, chosen, batching, subsets, data.num_classes, quantities, queries
    )
    ensemble = functools.partial(make_ensemble, job, data, root, bits)
    return Configured(config, job, ensemble)
