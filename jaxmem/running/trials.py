"""Train the trials that a workdir lacks.

data = jaxmem.load_dataset("digits")
run = jaxmem.run_trials(data, trials=4000, workdir="runs/digits")
"""

import dataclasses
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem._shared.arguments import number, one_of, whole
from jaxmem._shared.devices import hardware, out_of_memory, use_all_cores
from jaxmem._shared.files import local_path, read_json, read_npz, replacing, write_json
from jaxmem._shared.progress import progress, say
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.estimates.learning import learning_warning
from jaxmem.estimates.results import Run, open_run
from jaxmem.estimates.stopping import Among, Goal, make_goal
from jaxmem.models import Spec, check_model, make_model
from jaxmem.running.planning import make_plan
from jaxmem.storage import store as trials_
from jaxmem.storage.checkpoints import KeptModels, TrainingOnDisk
from jaxmem.training.batches import BATCHINGS, Batching
from jaxmem.training.ensemble import (
    Ensemble,
    Outcomes,
    Plan,
    make_ensemble,
    make_job,
    most_held_out,
    run_blocks,
)
from jaxmem.training.inputs import describe_inputs
from jaxmem.training.keys import root_key
from jaxmem.training.recipes import recipe_for
from jaxmem.training.subsets import SAMPLINGS, Sampling, most_balanced, subset_size
from jaxmem.version import __version__

# Fields of config.json that may differ between two commands on one workdir.
FREE = ("dataset", "jaxmem")


def run_trials(
    data: Dataset,
    trials: int | None = None,
    workdir: str | Path | None = None,
    *,
    model: str = "mlp",
    subset_fraction: float = 0.7,
    sampling: Sampling = "uniform",
    masks: np.ndarray | None = None,
    seed: int = 0,
    batching: Batching = "packed",
    width: int | None = None,
    keep_models: bool = False,
    margins: bool = False,
    probabilities: bool = False,
    until_se: float | None = None,
    se_quantile: float = 0.5,
    se_of: Among = "memorized",
    **recipe,
) -> Run:
    """Train the trials that the workdir lacks, and open it.

    trials: how many; default 4,000, or all of the given masks.
    workdir: default runs/<dataset>-<model>-<hash of the configuration>. A workdir with
      fewer trials of the same configuration is topped up.
    sampling: how subsets are drawn: "uniform", each alone; "balanced", so that every
      example is excluded equally often, to within one; or "bernoulli", a coin an example,
      so that sizes vary.
    masks: bool [T, N], which examples each trial shall see, as many in every row: in place
      of random subsets of subset_fraction. Without them a trial's subset depends on the
      seed: `masks=other.included` trains on the subsets of another run, with another seed.
    width: models trained side by side on one device; None times a few, keeps the best.
    margins: also store the margin of every example in every trial, float16: the logit of
      the label minus the log-sum-exp of the others. 16 times the size of the bits.
    probabilities: also store every class's probability of the examples that a trial does
      not see, float16: 2 bytes times classes times those examples, a trial.
    until_se: stop before `trials` as soon as the standard error of mem has come down to
      this, at the quantile se_quantile (0.5: for half of them) over the examples with
      mem >= 0.25, or with se_of="all" over all.
    keep_models: keep the final models of the trials trained now, for `jaxmem.predict`.
    recipe: fields of `jaxmem.Recipe` that differ from the (dataset, model)'s own.

    Raises InputError, with nothing written, for arguments out of range and for a workdir
    that cannot be written, is in use, or holds another configuration or other data.
    """
    use_all_cores()  # before anything starts JAX
    with jax.enable_x64(False):  # which would draw other random numbers
        return _run_trials(
            data,
            trials,
            workdir,
            masks,
            model,
            number("subset fraction", subset_fraction),
            one_of("sampling", sampling, SAMPLINGS),
            whole("seed", seed),
            one_of("batching", batching, BATCHINGS),
            None if width is None else whole("width", width, least=1),
            bool(keep_models),
            bool(margins),
            bool(probabilities),
            None if until_se is None else make_goal(until_se, se_quantile, se_of),
            recipe,
        )


def _run_trials(
    data,
    trials,
    workdir,
    masks,
    model,
    subset_fraction,
    sampling,
    seed,
    batching,
    width,
    keep_models,
    margins,
    probabilities,
    goal,
    recipe,
) -> Run:
    n = data.train.labels.size
    given = masks is not None
    if given:
        masks, m = _check_masks(masks, n)
        subset_fraction = m / n
    else:
        m = subset_size(n, subset_fraction)
    trials = whole(
        "trials", (len(masks) if given else 4000) if trials is None else trials, 1
    )
    if given and trials > len(masks):
        raise InputError(f"{trials} trials need as many masks, but {len(masks)} are given")
    if given and sampling != "uniform":
        raise InputError(f"give either masks or sampling {sampling!r}: masks are subsets")
    if probabilities and m == n:
        raise InputError("masks that include everything leave no held-out probabilities")
    if sampling == "balanced" and trials > most_balanced(n, m):
        raise InputError(
            f"balanced sampling of {m} from {n} examples ends at {most_balanced(n, m):,} "
            f"trials, {trials:,} are wanted; take another seed for the rest"
        )
    root = root_key(seed)
    chosen = recipe_for(data.recipes, model, m, **recipe)
    architecture = make_model(
        model, Spec(data.num_classes, chosen.hidden, jnp.dtype(chosen.precision))
    )
    # So that another architecture under the same name does not pass for it.
    parameters = check_model(model, architecture, data.train.images)
    job = make_job(architecture, chosen, batching, n, m)._replace(
        sampling=sampling,
        fraction=subset_fraction,
        margins=margins,
        probabilities=probabilities,
    )
    config = {
        "format": trials_.FORMAT,
        "jaxmem": __version__,
        "dataset": data.name,
        "data": data.fingerprint,
        "num_classes": data.num_classes,
        "image_shape": list(data.train.images.shape[1:]),
        "inputs": describe_inputs(data.train.images),
        "model": model,
        "parameters": parameters,
        "subset_fraction": subset_fraction,
        "subset_size": None if sampling == "bernoulli" else m,
        "sampling": sampling
        if not given
        else f"masks {hashlib.sha256(masks).hexdigest()[:16]}",
        "seed": seed,
        "batching": batching,
        "margins": margins,
        "probabilities": probabilities,
        **dataclasses.asdict(chosen),
        "hidden": list(chosen.hidden),
    }
    workdir = local_path(workdir) if workdir else default_workdir(config)
    with trials_.locked(workdir):
        held_out = (most_held_out(job, n), data.num_classes) if probabilities else None
        store = _prepare(workdir, config, data, trials, held_out)
        missing = np.flatnonzero(store.status()[:trials] == trials_.MISSING).tolist()
        if missing and not (goal and goal.error(goal.counts(store, n)) <= goal.se):
            ensemble = make_ensemble(job, data, root, masks)
            plan = _plan(workdir, ensemble, width, config)
            kept = KeptModels(workdir) if keep_models else None
            in_flight = TrainingOnDisk(workdir)
            _train(ensemble, plan, store, missing, trials, kept, in_flight, goal)
            in_flight.remove()
    return open_run(workdir)


def _check_masks(masks: np.ndarray, n: int) -> tuple[np.ndarray, int]:
    """Their bits, uint8 [T, ceil(n / 8)], and how many examples each includes."""
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
    return np.packbits(masks, axis=1), int(sizes[0])


def default_workdir(config: dict[str, Any]) -> Path:
    """runs/<dataset>-<model>-<hash of what decides the results>."""
    fixed = {k: v for k, v in config.items() if k not in FREE}
    text = json.dumps(fixed, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    name = f"{config['dataset']}-{config['model']}-{digest}"
    return Path("runs") / name.replace("/", "-").replace(":", "-")


def _prepare(
    workdir: Path,
    config: dict,
    data: Dataset,
    trials: int,
    held_out: tuple[int, int] | None,
) -> trials_.TrialStore:
    """Make a new workdir's files, or check that an old one's are of this run.

    Trials that are damaged become missing ones.
    """
    path = workdir / "config.json"
    if path.exists():
        stored = trials_.read_config(workdir)
        differ = [
            f"{key} ({stored.get(key)} there, {config.get(key)} here)"
            for key in sorted({*stored, *config} - {*FREE})
            if stored.get(key) != config.get(key)
        ]
        if differ:
            raise InputError(
                f"{workdir} holds another run: {', '.join(differ)} differ; give another "
                "--workdir or the same flags"
            )
    n, e = data.train.labels.size, data.test.labels.size
    examples = {
        "tr_labels": data.train.labels,
        "tt_labels": data.test.labels,
        "tr_ids": data.train.ids,
        "tt_ids": data.test.ids,
        "class_names": np.array(data.class_names, str),
    }
    try:
        if not path.exists():
            write_json(path, config)  # first: it makes the folder ours
        if not _holds(workdir / "examples.npz", examples):
            with replacing(workdir / "examples.npz") as partial:
                np.savez(partial, **examples)
    except OSError as error:
        raise InputError(f"cannot write to {workdir}: {error.strerror}") from error
    store = trials_.create_store(workdir, trials, n, e, config["margins"], held_out)
    damage = store.check(n, e, config, complete=True)
    if damage.trials.size:
        say(f"{workdir} is damaged: {damage}; trained again")
    store.forget(damage.trials)
    return store


def _holds(path: Path, examples: dict[str, np.ndarray]) -> bool:
    """Whether the file is there, whole, and of these examples."""
    try:
        stored = read_npz(path)
    except InputError:
        return False
    return all(
        name in stored and np.array_equal(stored[name], values)
        for name, values in examples.items()
    )


# What this process has timed already, so that trainings on many subsets of one dataset
# (removal sets, fractions, flipped labels) are timed once.
_PLANS: dict[str, Plan] = {}


def _plan(workdir: Path, ensemble: Ensemble, width: int | None, config: dict) -> Plan:
    """The plan that the workdir remembers for this hardware, or a new one.

    Wider products round differently, so a resumed run keeps its plan: then it gives bit for
    bit what an uninterrupted one gives.
    """
    other = ("data", "dataset", "inputs", "sampling", "subset_fraction", "seed")
    other += ("subset_size",)
    alike = {k: v for k, v in config.items() if k not in other}
    alike["examples"], alike["width"] = ensemble.data.train_labels.size, width
    timed = json.dumps([hardware(), alike])
    path = workdir / "plan.json"
    plans = read_plans(workdir)
    known = plans.get(hardware())
    if known and width in (None, known.width):
        return known
    plan = _PLANS.get(timed) or make_plan(ensemble, width)
    _PLANS[timed] = plan
    plans = {**plans, hardware(): plan}
    write_json(path, {where: plan._asdict() for where, plan in plans.items()})
    return plan


def read_plans(workdir: Path) -> dict[str, Plan]:
    """The plans that a workdir remembers, by hardware; none where they cannot be read."""
    try:
        plans = read_json(workdir / "plan.json")
        return {where: Plan(**plan) for where, plan in plans.items()}
    except (InputError, AttributeError, TypeError):
        return {}


# How many times as many trials, before their standard errors are looked at again.
LOOK_AGAIN = 1.05


def _train(
    ensemble: Ensemble,
    plan: Plan,
    store: trials_.TrialStore,
    missing: list[int],
    trials: int,
    kept: KeptModels | None,
    in_flight: TrainingOnDisk,
    goal: Goal | None,
) -> None:
    start, accuracies = time.perf_counter(), []
    outlook, look, told = "", 0, False
    with progress("training", trials, "trials", trials - len(missing)) as bar:
        while missing:
            try:
                for block in run_blocks(ensemble, plan, missing, in_flight):
                    # A trial counts as finished only when its model is kept.
                    if kept is not None:
                        kept.save(block.trials, block.states)
                    store.append(block.trials, block.outcomes)
                    missing = missing[len(block.trials) :]
                    if not accuracies:
                        _tell_learning(block.outcomes, ensemble.data.train_labels)
                    accuracies += block.outcomes.test_accuracy.tolist()
                    bar.update(len(block.trials))
                    rate = len(accuracies) / (time.perf_counter() - start)
                    done = trials - len(missing)
                    if goal is not None and done >= look:
                        counts = goal.counts(store, ensemble.data.train_labels.size)
                        error = goal.error(counts)
                        if error <= goal.se:
                            return
                        outlook = f", {goal.outlook(counts, done, rate)}"
                        if np.isfinite(error) and not told:
                            # Also where no terminal shows the bar.
                            bar.write(f"after {done} trials{outlook}", file=sys.stderr)
                            told = True
                        look = LOOK_AGAIN * done
                    bar.set_postfix_str(
                        f"{3600 * rate:,.0f} models/h, test "
                        f"{np.mean(accuracies):.2%}{outlook}"
                    )
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if plan.width == 1:
                    raise InputError(
                        "not even one model a device fits in memory; give a smaller "
                        "--batch-size or --model, or on a CPU fewer devices by "
                        "XLA_FLAGS=--xla_force_host_platform_device_count=1"
                    ) from error
                # Evaluation needed more than the training that the width was timed on.
                plan = plan._replace(width=plan.width // 2)


def _tell_learning(outcomes: Outcomes, labels: jax.Array) -> None:
    """Warn, once there are models, where they did not learn."""
    fitted = outcomes.train_accuracy[~outcomes.diverged]
    warning = learning_warning(fitted, np.asarray(labels))
    if warning:
        say(f"warning: {warning}")
