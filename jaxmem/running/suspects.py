"""Find wrong labels, in rounds of a few trials.

found = jaxmem.find_suspects(data, "runs/labels")
found.order[:20], found.number

WORKDIR/round1/, round2/, …   runs with masks; each like any other
WORKDIR/suspects.csv, .npz    the ranking: `reporting.suspects`
"""

import hashlib
from pathlib import Path

import numpy as np

from jaxmem._shared.arguments import whole
from jaxmem._shared.devices import use_all_cores
from jaxmem._shared.files import location
from jaxmem._shared.progress import say
from jaxmem.data import Dataset
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run
from jaxmem.estimates.suspects import Judgement, Suspects, conclude, judge, shared_first
from jaxmem.models.own import Options
from jaxmem.running.trials import run_trials
from jaxmem.training.judging import judging_masks, judging_model, judging_recipe

TRIALS = 16  # of a round
LEAST_TRIALS = 4  # half of them judge an example: two, for a standard error
ROUNDS = 4  # at most
STABLE = 0.9  # share of the suspects that the round before had ranked as high
WIDTH = 8  # models side by side: timing others would take as long as training
MOST_SEEN = 2 / 3  # of the kept examples, so that a third is held out


def find_suspects(
    data: Dataset,
    workdir: str | Path | None = None,
    *,
    first: Run | None = None,
    model: str | None = None,
    model_options: Options | None = None,
    trials: int = TRIALS,
    rounds: int = ROUNDS,
    seed: int = 0,
    width: int | None = None,
    **recipe,
) -> Suspects:
    """Rank the labels of the training set by the margins of models that never saw them.

    The models of the first round see half of the examples each. Those of later rounds do
    not see what the round before set aside, but judge all. Rounds end when at least 90 % of
    the suspects were ranked as high in the round before: `Suspects.stability`.

    Args:
      data: its training labels are judged; the test set has no say.
      workdir: of the rounds; the same call resumes. Default:
        runs/<dataset>-suspects-<hash>, or suspects/ in the first run's.
      first: a finished run on the same data, with margins, in place of the first round.
      model: default "cnn" for pictures, "mlp" for rows; or as `run_trials` takes them,
        with model_options.
      trials: of a round, at least 4.
      rounds: at most; 1 sets nothing aside.
      seed: of all randomness.
      width: models trained side by side on a device; default: 8, or what trials need.
      recipe: fields of `jaxmem.Recipe` that differ from the judging one.

    Raises:
      InputError: with nothing written, for arguments out of range, a class of one example,
        a first run on other data, without margins, in masked batching or on masks that
        leave a class out, and what `run_trials` refuses.
    """
    use_all_cores()
    labels, n = data.train.labels, data.train.labels.size
    trials = whole("trials", trials, least=LEAST_TRIALS)
    rounds, seed = whole("rounds", rounds, least=1), whole("seed", seed)
    model = model or judging_model(data.train.images.shape[1:])
    _check_classes(data)
    if first is not None:
        _check_first(first, data)
    here: tuple = (data.fingerprint, model, trials, seed, sorted(recipe.items()))
    if model_options:
        here += (sorted(model_options.items()),)
    if workdir is None and first is not None:
        workdir = first.workdir / "suspects"
    folder = location(workdir) if workdir else _default(data.name, here)
    judged: list[Judgement] = []
    kept, m = np.ones(n, bool), n // 2
    for number in range(1, rounds + 1):
        if first is not None and number == 1:
            run = first
        else:
            m = min(m, int(MOST_SEEN * kept.sum()))
            run = run_trials(
                data,
                workdir=folder / f"round{number}",
                masks=judging_masks(labels, kept, m, trials, seed + number),
                model=model,
                model_options=model_options,
                seed=seed,
                margins=True,
                width=width or _width(trials),
                mem=False,
                **_judging(m, recipe),
            )
        judged.append(_judge(run, first=number == 1))
        if number > 1 and shared_first(*judged[-2:]) >= STABLE:
            break
        kept = ~judged[-1].set_aside
        if number < rounds:
            say(f"round {number}: {n - kept.sum():,} of {n:,} examples are set aside")
    return conclude(judged, folder)


def _judge(run: Run, first: bool) -> Judgement:
    if not run.trials.size:
        raise InputError(
            f"all {run.diverged} trials in {run.workdir} diverged; "
            "give a smaller --learning-rate"
        )
    return judge(run, first)


def _judging(m: int, recipe: dict) -> dict:
    """The judging recipe for subsets of m, but for what is given."""
    given = {name: value for name, value in recipe.items() if value is not None}
    fields = judging_recipe(m)
    if given.get("optimizer", "sgd") not in ("sgd", "nesterov"):
        del fields["learning_rate"]  # which is SGD's
    return {**fields, **given}


def _default(name: str, arguments: tuple) -> Path:
    digest = hashlib.sha256(repr(arguments).encode()).hexdigest()[:8]
    return Path("runs") / f"{name}-suspects-{digest}".replace("/", "-").replace(":", "-")


def _width(trials: int) -> int:
    import jax  # starts it

    return min(WIDTH, -(-trials // len(jax.local_devices())))


def _check_classes(data: Dataset) -> None:
    """Whether each class has others to be judged by."""
    count = np.bincount(data.train.labels, minlength=data.num_classes)
    if (count > 0).sum() < 2:
        raise InputError(
            f"the training labels are of {(count > 0).sum()} class; wrong ones need two"
        )
    if (lonely := np.flatnonzero(count == 1)).size:
        row = int(np.flatnonzero(data.train.labels == lonely[0])[0])
        name = data.class_names[lonely[0]] if data.class_names else lonely[0]
        raise InputError(
            f"class {name} has one example, row {row}: models that do not see it cannot "
            "know its class; leave it out, or give it company"
        )


def _check_first(run: Run, data: Dataset) -> None:
    """Whether a run can be the first round."""
    if run.config.data != data.fingerprint:
        raise InputError(
            f"{run.workdir} is a run on other examples or labels ({run.config.dataset}) "
            f"than {data.name}; give the --dataset that it was run on"
        )
    if run.config.sampling == "given":
        for trial, mask in zip(run.trials, run.included, strict=True):
            classes = np.unique(run.tr_labels[mask])
            lacking = np.setdiff1d(run.tr_labels, classes)
            if lacking.size:
                raise InputError(
                    f"the masks of {run.workdir} leave out class "
                    f"{run.all_class_names[lacking[0]]} in trial {trial}, whose margins "
                    "there mean nothing; give masks with examples of every class"
                )
