"""Train the trials that a workdir lacks.

data = jaxmem.load_dataset("digits")
run = jaxmem.run_trials(data, trials=4000, workdir="runs/digits")
"""

import functools
import tempfile
from pathlib import Path

import jax
import numpy as np

from jaxmem._shared.arguments import one_of, whole
from jaxmem._shared.devices import use_all_cores
from jaxmem._shared.files import local_path
from jaxmem._shared.progress import progress, say
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.estimates.opening import open_run
from jaxmem.estimates.results import Run
from jaxmem.estimates.stopping import Among, make_goal
from jaxmem.models import is_own
from jaxmem.models.own import Options
from jaxmem.running.blocks import finished_blocks
from jaxmem.running.checking import check_network
from jaxmem.running.configuring import choose_subsets, configure, count_trials
from jaxmem.running.planning import PLACINGS, Placing, choose_placement, recall_plan
from jaxmem.running.starting import Start, Trainable, keep_frozen
from jaxmem.running.watch import Watch
from jaxmem.storage.checkpoints import KeptModels, TrainingOnDisk
from jaxmem.storage.config import RunConfig, default_workdir, read_config, write_config
from jaxmem.storage.integrity import find_damage
from jaxmem.storage.schema import MISSING
from jaxmem.storage.store import TrialStore, create_store
from jaxmem.storage.workdir import Index, locked, write_index
from jaxmem.training.batches import BATCHINGS, Batching
from jaxmem.training.ensemble import Ensemble
from jaxmem.training.subsets import Sampling


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
    seed: int = 0,
    batching: Batching = "packed",
    width: int | None = None,
    placement: Placing = "auto",
    keep_models: bool = False,
    margins: bool = False,
    probabilities: bool = False,
    until_se: float | None = None,
    se_quantile: float = 0.5,
    se_of: Among = "memorized",
    mem: bool = True,
    **recipe,
) -> Run:
    """Train the trials that the workdir lacks, and open it.

    trials: how many; default 4,000, or all of the given masks.
    workdir: default runs/<dataset>-<model>-<hash of the configuration>. A workdir with
      fewer trials of the same configuration is topped up.
    model: a name of `MODELS`, or "my_net.py:make", "package.module:make": a factory or a
      class of a module in Flax Linen, NNX or Equinox; model_options are its keywords.
    init_from: "WORKDIR/models:3", a kept model whose parameters, where they have the same
      path and shape, every trial starts from.
    trainable: which parameters are trained: "head", the last dense layer, or a predicate on
      paths such as "Dense_0.kernel". The others are frozen, and held once for all trials.
    sampling: how subsets are drawn: "uniform", each alone; "balanced", so that every
      example is excluded equally often, to within one; or "bernoulli", a coin an example,
      so that sizes vary.
    masks: bool [T, N], which examples each trial shall see, as many in every row: in place
      of random subsets of subset_fraction. Without them a trial's subset depends on the
      seed: `masks=other.included` trains on the subsets of another run, with another seed.
    width: models trained side by side on one device; None times a few, keeps the best.
    placement: where the images lie: "device", all on every device; "host", in chunks of
      what is wanted next; "auto", on the host if they are more than a third of a device's
      memory. Changes no result.
    margins: also store the margin of every example in every trial, float16: the logit of
      the label minus the log-sum-exp of the others. 16 times the size of the bits.
    probabilities: also store every class's probability of the examples that a trial does
      not see, float16: 2 bytes times classes times those examples, a trial.
    until_se: stop before `trials` as soon as the standard error of mem has come down to
      this, at the quantile se_quantile (0.5: for half of them) over the examples with
      mem >= 0.25, or with se_of="all" over all.
    keep_models: keep the final models of the trials trained now, for `jaxmem.predict`.
    mem: whether mem is wanted; then models that leave much unfitted are worth a warning.
    recipe: fields of `jaxmem.Recipe` that differ from the (dataset, model)'s own.

    Raises InputError, with nothing written, for arguments out of range and for a workdir
    that cannot be written, is in use, or holds another configuration or other data.
    """
    use_all_cores()  # before anything starts JAX
    with jax.enable_x64(False):  # which would draw other random numbers
        width = None if width is None else whole("width", width, least=1)
        one_of("placement", placement, PLACINGS)
        goal = None if until_se is None else make_goal(until_se, se_quantile, se_of)
        bits, subsets = choose_subsets(
            data.train.labels.size, subset_fraction, sampling, masks
        )
        trials = count_trials(trials, subsets, bits)
        config, ensemble_of = configure(
            data,
            bits,
            subsets,
            model=model,
            options=dict(model_options or {}),
            start=Start(init_from, trainable),
            seed=whole("seed", seed),
            batching=one_of("batching", batching, BATCHINGS),
            margins=bool(margins),
            probabilities=bool(probabilities),
            recipe=recipe,
        )
        workdir = local_path(workdir) if workdir else default_workdir(config)
        with locked(workdir):
            store = _prepare(workdir, config, data, trials)
            watch = Watch(store, data.train.labels, goal, mem)
            if _missing(store, trials) and not watch.reached():
                nbytes = data.train.images.nbytes + data.test.images.nbytes
                room = functools.partial(_room, workdir)
                ensemble = ensemble_of(choose_placement(placement, nbytes), room)
                keep_frozen(workdir, ensemble.job.learner.model)
                if is_own(model) and not _checked(store, config):
                    check_network(model, ensemble.job.learner, data)
                _train(workdir, config, ensemble, store, trials, watch, width, keep_models)
        return open_run(workdir)


def _prepare(workdir: Path, config: RunConfig, data: Dataset, trials: int) -> TrialStore:
    """Make a new workdir's files, or check that an old one's are of this run.

    Trials that are damaged become missing ones.
    """
    if (workdir / "config.json").exists():
        differ = [
            f"{term} ({there} there, {here} here)"
            for term, here, there in config.differences(read_config(workdir), "resume")
        ]
        if differ:
            raise InputError(
                f"{workdir} holds another run: {', '.join(differ)} differ; give another "
                "--workdir or the same flags and files"
            )
    else:
        write_config(workdir, config)  # first: it makes the folder ours
    write_index(workdir, Index.of(data))
    store = create_store(workdir, config, trials)
    damage = find_damage(store, config, complete=True)
    if damage.trials.size:
        say(f"{workdir} is damaged: {damage}; trained again")
    store.forget(damage.trials)
    return store


def _missing(store: TrialStore, trials: int) -> list[int]:
    """The numbers of the trials, of so many, that are not there yet."""
    return np.flatnonzero(store.status()[:trials] == MISSING).tolist()


def _checked(store: TrialStore, config: RunConfig) -> bool:
    """Whether trials of this very network are there already."""
    known = config.network is not None and config.network.source is not None
    return known and bool((store.status() != MISSING).any())


def _room(workdir: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array that lies on the workdir's disk, and is gone with the process."""
    with tempfile.TemporaryFile(dir=workdir) as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def _train(
    workdir: Path,
    config: RunConfig,
    ensemble: Ensemble,
    store: TrialStore,
    trials: int,
    watch: Watch,
    width: int | None,
    keep_models: bool,
) -> None:
    """Train what is missing of so many trials, until the watch says that it is enough."""
    missing = _missing(store, trials)
    plan = recall_plan(workdir, ensemble, width, config, len(missing))
    kept = KeptModels(workdir) if keep_models else None
    in_flight = TrainingOnDisk(workdir)
    done = trials - len(missing)
    with progress("training", trials, "trials", done) as bar:
        for block in finished_blocks(ensemble, plan, missing, in_flight):
            # A trial counts as finished only when its model is kept.
            if kept is not None:
                kept.save(block.trials, block.states)
            store.append(block.trials, block.outcomes)
            done += len(block.trials)
            bar.update(len(block.trials))
            if watch.see(block, done, bar):
                break
    in_flight.remove()
