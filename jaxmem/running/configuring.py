"""From a caller's arguments to a run's configuration, and to its ensemble."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.models import check_model
from jaxmem.models.own import Options
from jaxmem.running.architecture import describe, make_architecture
from jaxmem.running.choosing import Subsets, digest
from jaxmem.running.starting import Start, begin
from jaxmem.storage.config import Inputs, RunConfig
from jaxmem.storage.schema import BY_STORE
from jaxmem.training.augmentation import check_views
from jaxmem.training.batches import Batching
from jaxmem.training.ensemble import Ensemble, make_ensemble
from jaxmem.training.inputs import describe_inputs
from jaxmem.training.job import Job, make_job
from jaxmem.training.keys import Fixed, root_key
from jaxmem.training.optimizers import check_optimizer, in_words
from jaxmem.training.queries import check_queries
from jaxmem.training.recipes import recipe_for


class Configured(NamedTuple):
    """What is to be trained."""

    config: RunConfig
    job: Job
    ensemble: Callable[..., Ensemble]  # takes placement and room, as `make_ensemble`


def configure(
    data: Dataset,
    subsets: Subsets,
    *,
    model: str,
    options: Options,
    start: Start,
    seed: int,
    batching: Batching,
    margins: bool,
    probabilities: bool,
    dynamics: bool,
    fix: tuple[Fixed, ...],
    highest_margins: bool,
    queries: Sequence[str],
    recipe: dict,
) -> Configured:
    """The run's configuration, and what makes its ensemble once there is work to do."""
    root, rule, bits = root_key(seed), subsets.rule, subsets.bits
    chosen = recipe_for(data.recipes, model, rule.size, **in_words(recipe))
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
        subset_fraction=rule.fraction,
        subset_size=None if rule.varies else rule.size,
        sampling=rule.sampling,
        masks=digest(bits),
        seed=seed,
        batching=batching,
        margins=margins,
        probabilities=probabilities,
        dynamics=dynamics,
        highest_margins=highest_margins,
        queries=queries,
        network=describe(model, options, given),
        groups=None if subsets.groups is None else digest(subsets.groups.number),
        fix=fix,
    )
    names = tuple(q.name for q in config.quantities if q.name not in BY_STORE)
    job = make_job(
        architecture, chosen, batching, rule, data.num_classes, names, fix, queries
    )
    ensemble = functools.partial(
        make_ensemble, job, data, root, bits, groups=subsets.drawn_groups
    )
    return Configured(config, job, ensemble)
