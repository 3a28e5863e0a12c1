"""Train the trials that a workdir lacks.

data = jaxmem.load_dataset("digits")
run = jaxmem.run_trials(data, trials=4000, workdir="runs/digits")
"""

import contextlib
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import jax
import numpy as np

from jaxmem._shared.arguments import one_of, whole
from jaxmem._shared.devices import use_all_cores
from jaxmem._shared.files import location
from jaxmem.data import Dataset
from jaxmem.data.groups import read_groups
from jaxmem.errors import InputError
from jaxmem.estimates.opening import open_run
from jaxmem.estimates.results import Run
from jaxmem.estimates.stopping import Among, make_goal
from jaxmem.models import is_own
from jaxmem.models.own import Options
from jaxmem.running.checking import check_network
from jaxmem.running.choosing import choose_subsets, count_trials, fixed
from jaxmem.running.configuring import configure
from jaxmem.running.planning import PLACINGS, Placing
from jaxmem.running.preparing import checked, missing, own_trials, prepare
from jaxmem.running.starting import Start, Trainable, keep_frozen
from jaxmem.running.storing import blocks_here, store_blocks
from jaxmem.running.watch import Watch
from jaxmem.running.worker import Task
from jaxmem.storage.appending import Appends
from jaxmem.storage.checkpoints import KeptModels, TrainingOnDisk
from jaxmem.storage.config import default_workdir
from jaxmem.storage.shares import parse_share
from jaxmem.storage.workdir import left_in_flight, locked
from jaxmem.training.batches import BATCHINGS, Batching
from jaxmem.training.subsets import Sampling

Cluster = Literal["ray"]
CLUSTERS: tuple[str, ...] = get_args(Cluster)


def run_trials(
    data: Dataset,
    trials: int | None = None,
    workdir: str | Path | None = None,
    *,
    model: str = "mlp",
    model_options: Options | None = None,
    init_from: str | None = None,
    trainable: Trainable | None = None,
    subset_fraction: float = 0.7,
    sampling: Sampling = "uniform",
    masks: np.ndarray | None = None,
    groups: str | Path | np.ndarray | Sequence[str] | None = None,
    fix: str | Sequence[str] = (),
    seed: int = 0,
    batching: Batching = "packed",
    width: int | None = None,
    placement: Placing = "auto",
    share: str | None = None,
    cluster: Cluster | None = None,
    workers: int | None = None,
    keep_models: bool = False,
    margins: bool = False,
    probabilities: bool = False,
    dynamics: bool = False,
    highest_margins: bool = False,
    queries: Sequence[str] = (),
    until_se: float | None = None,
    se_quantile: float = 0.5,
    se_of: Among = "memorized",
    mem: bool = True,
    **recipe,
) -> Run:
    """Train the trials that the workdir lacks, and open it.

    trials: how many; default 4,000, or all of the given masks.
    workdir: default runs/<dataset>-<model>-<hash of the configuration>. A workdir with
      fewer trials of the same configuration is topped up. gs://BUCKET/FOLDER and
      s3://BUCKET/FOLDER too.
    model: a name of `MODELS`, or "my_net.py:make", "package.module:make": a factory or a
      class of a module in Flax Linen, NNX or Equinox; model_options are its keywords.
    init_from: "WORKDIR/models:3", a kept model whose parameters, where they have the same
      path and shape, every trial starts from.
    trainable: which parameters are trained: "head", the last dense layer, or a predicate on
      paths such as "Dense_0.kernel". The others are frozen, and held once for all trials.
    sampling: how subsets are drawn: "uniform", each alone; "balanced", so that every
      example is excluded equally often, to within one; or "bernoulli", a coin an example,
      so that sizes vary.
    masks: bool [T, N], which examples each trial shall see, in place of random subsets:
      `masks=other.included` trains on the subsets of another run, with another seed. More
      rows top a workdir up, if the first agree. Where they include different numbers, an
      epoch has the steps of subset_fraction, in batches that differ in size.
    groups: which training examples are in or out together: "duplicates",
      "near-duplicates", an .npy file, or each one's group [N], numbers or text (such as
      `data.groups`). subset_fraction is then the share of the groups that a trial sees, and
      mem and infl are a group's.
    fix: what all trials share: "init", their initial parameters; "order", all that training
      draws (order, views, random layers).
    width: models trained side by side on one device; None times a few, keeps the best.
    placement: where images lie: "device", all on every device; "host", in chunks that are
      wanted next; "auto", on the host if over a third of its memory. Changes no result.
    share: "I/N": train only the I-th of N shares of the trials, beside processes that train
      the others into the same workdir; "auto" takes I and N from SLURM, "auto/N" I from
      Kubernetes. Whatever is missing in the end, a call without share trains.
    cluster: "ray": train on the cluster at RAY_ADDRESS, or on a Ray started here; then
      call this before JAX starts.
    workers: how many of a cluster, also of nodes that join later; default: one for each
      GPU, TPU host or else CPU node that is there.
    margins: also store the margin of every example in every trial, float16: the logit of
      the label minus the log-sum-exp of the others. 16 times the size of the bits.
    probabilities: also store every class's probability of the examples that a trial does
      not see, float16: 2 bytes times classes times those examples, a trial.
    dynamics: also store how each trial learnt each example that it saw, by what its batches
      show: loss, margin, when it was right; 10 bytes an example and trial, which compress.
    highest_margins: also store test margins against the highest other logit, float16.
    queries: "mirror", "shifts" or both: also store the margins of such copies of training
      examples, float16: mirror images, shifts by a pixel, both (1, 8 or 17).
    until_se: stop before `trials` as soon as the standard error of mem has come down to
      this, at the quantile se_quantile (0.5: for half of them) over the examples with
      mem >= 0.25, or with se_of="all" over all.
    keep_models: keep the final models of the trials trained now, for `jaxmem.predict`.
    mem: whether mem is wanted; then models that leave much unfitted are worth a warning.
    recipe: fields of `jaxmem.Recipe` that differ from the (dataset, model)'s own.

    Raises InputError, with nothing written, for arguments out of range and for a workdir
    that cannot be written, is in use, or holds another configuration or other data.
    """
    with contextlib.ExitStack() as stack:
        slots = stack.enter_context(_workers(cluster, workers, share))
        use_all_cores()  # before anything starts JAX
        stack.enter_context(jax.enable_x64(False))  # which would draw other numbers
        if slots is not None and jax.default_backend() != "cpu":
            raise InputError(
                f"JAX has started on the {jax.default_backend()}, which the workers need; "
                "call run_trials with a cluster before anything uses JAX"
            )
        width = None if width is None else whole("width", width, least=1)
        one_of("placement", placement, PLACINGS)
        goal = None if until_se is None else make_goal(until_se, se_quantile, se_of)
        n = data.train.labels.size
        together = None if groups is None else read_groups(groups, data)
        subsets = choose_subsets(n, subset_fraction, sampling, masks, together)
        trials = count_trials(trials, subsets)
        subsets.check(goal)
        part = None if share is None else parse_share(share)
        if part is not None:
            part.check(trials)
        configured = functools.partial(
            configure,
            subsets=subsets,
            model=model,
            options=dict(model_options or {}),
            start=Start(init_from, trainable),
            seed=whole("seed", seed),
            batching=one_of("batching", batching, BATCHINGS),
            margins=bool(margins),
            probabilities=bool(probabilities),
            dynamics=bool(dynamics),
            fix=fixed(fix),
            highest_margins=bool(highest_margins),
            queries=queries,
            recipe=recipe,
        )
        todo = configured(data)
        folder = location(workdir) if workdir else default_workdir(todo.config)
        still_ours = stack.enter_context(locked(folder, part))
        store = prepare(folder, todo.config, data, trials, part, subsets)
        watch = Watch(store, data.train.labels, goal, mem, subsets)
        own = own_trials(trials, part)
        lacking = missing(store, own)
        if lacking and not watch.reached():
            learner = todo.job.learner
            keep_frozen(folder, learner.model)
            if is_own(model) and not checked(store, todo.config):
                check_network(model, learner, data)
            if slots is None:
                writer = part.name if part else ""
                in_flight = TrainingOnDisk(folder, writer, still_ours)
                blocks = blocks_here(
                    folder, todo, data, lacking, width, placement, in_flight
                )
                kept = KeptModels(folder, writer) if keep_models else None
            else:
                from jaxmem.running.cluster import Driver  # Ray, which not all have

                where = os.getcwd(), str(folder.absolute())
                task = Task(configured, todo.config, placement, *where, bool(keep_models))
                driver = Driver(slots, workers, task, data)
                watch.at_work = driver.at_work
                blocks, kept = driver.blocks(lacking, width), None
            done = own.size - len(lacking)
            appends = Appends(store, still_ours)
            with contextlib.closing(blocks):
                store_blocks(folder, appends, blocks, watch, kept, done, own.size)
        # Without shares, all; else our own, and what a former number of shares left.
        done_with = [part.name, *left_in_flight(folder, part)] if part else [""]
        for writer in done_with:
            TrainingOnDisk(folder, writer).remove()
        return open_run(folder)


def _workers(
    cluster: Cluster | None, workers: int | None, share: str | None
) -> contextlib.AbstractContextManager:
    """The cluster's room for workers; None without one. Raises InputError."""
    if cluster is None:
        if workers is not None:
            raise InputError(f"workers {workers} are a cluster's: give --cluster=ray too")
        return contextlib.nullcontext()
    one_of("cluster", cluster, CLUSTERS)
    if share is not None:
        raise InputError("give either a share or a cluster: a cluster trains all of a run")
    workers = None if workers is None else whole("workers", workers, least=1)
    try:
        from jaxmem.running import actors
    except ImportError as error:
        raise InputError(
            f"--cluster=ray needs Ray ({error}): pip install 'jaxmem[ray]'"
        ) from None
    return actors.connected(workers)
