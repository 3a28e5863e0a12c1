"""Estimate what a network memorizes: train many models on random subsets and compare.

    python -m jaxmem.run                                  # digits, 4,000 trials
    python -m jaxmem.run --dataset=mnist --trials=4000    # MNIST through TFDS

The same command again resumes; a larger --trials tops up.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable

from jaxmem._shared import commands
from jaxmem._shared.devices import hardware
from jaxmem._shared.files import write_json
from jaxmem._shared.progress import say
from jaxmem.data import class_gaps
from jaxmem.data.flags import add_data_flags, take_dataset
from jaxmem.errors import InputError
from jaxmem.estimates.results import Run
from jaxmem.estimates.stopping import AMONG
from jaxmem.models import MODELS
from jaxmem.reporting import exports, figures
from jaxmem.reporting.summary import print_table, summarize
from jaxmem.running.trials import read_plans, run_trials
from jaxmem.training.batches import BATCHINGS
from jaxmem.training.recipes import CHOICES, RECIPES, Recipe, general_recipe
from jaxmem.training.subsets import SAMPLINGS


def _width(text: str) -> int | None:
    return None if text == "auto" else int(text)


def _widths(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def _recipe_default(field: str) -> str:
    """The default of a recipe's field, for --help: the general one and who differs."""

    def show(recipe: Recipe) -> str:
        value = getattr(recipe, field)
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

    if field in BY_SIZE:
        return f"(default: {BY_SIZE[field]}; {_own(field, show, None)})"
    general = show(general_recipe(10**6))
    own = _own(field, show, general)
    return f"(default: {general}{'; ' if own else ''}{own})"


# Of the general recipe, what goes by the number m of examples in a subset.
BY_SIZE = {
    "epochs": "30, up to 200 for few examples",
    "batch_size": "128, for fewer than 2000 examples 32",
    "weight_decay": "1 / m for subsets of m examples",
}


def _own(field: str, show: Callable[[Recipe], str], general: str | None) -> str:
    """Whose recipe has which value, where it is not the general one."""
    models: dict[tuple[str, str], list[str]] = {}  # of a value on a dataset
    for (dataset, model), recipe in RECIPES.items():
        if show(recipe) != general:
            models.setdefault((show(recipe), dataset), []).append(model)
    datasets: dict[tuple[str, str], list[str]] = {}  # of a value for some models
    for (value, dataset), names in models.items():
        datasets.setdefault((value, ", ".join(names)), []).append(dataset)
    return "; ".join(
        f"{value} for {names} on {', '.join(where)}"
        for (value, names), where in datasets.items()
    )


def make_parser() -> argparse.ArgumentParser:
    """The command line of `python -m jaxmem.run`."""
    parser = commands.make_parser("run", __doc__)
    add_data_flags(parser, default="digits")
    run = parser.add_argument_group("trials")
    add = run.add_argument
    add("--trials", type=int, default=4000, help="models to train (default: 4000)")
    add(
        "--subset-fraction",
        type=float,
        default=0.7,
        help="share of the training set that each model sees (default: 0.7)",
    )
    add(
        "--sampling",
        choices=SAMPLINGS,
        default="uniform",
        help="uniform: each trial draws its subset alone, as in the paper; balanced: every "
        "example is excluded in equally many trials; bernoulli: a coin an example, as "
        "Banzhaf values want (default: uniform)",
    )
    add("--seed", type=int, default=0, help="of all randomness (default: 0)")
    add(
        "--workdir",
        help="where trials, estimates and figures go "
        "(default: runs/<dataset>-<model>-<config hash>)",
    )
    add(
        "--batching",
        choices=BATCHINGS,
        default="packed",
        help="packed: each model walks its own subset; masked: groups of models share each "
        "batch and ignore what they exclude (default: packed)",
    )
    add(
        "--width",
        type=_width,
        metavar="WIDTH",
        help="models trained side by side on one device; auto times a few (default: auto)",
    )

    add(
        "--until-se",
        type=float,
        metavar="SE",
        help="stop before --trials, once the standard error of mem is down to this",
    )
    add(
        "--se-quantile",
        type=float,
        default=0.5,
        help="share of the examples whose standard error must be at or below --until-se "
        "(default: 0.5)",
    )
    add(
        "--se-of",
        choices=AMONG,
        default="memorized",
        help="of which examples: those with mem >= 0.25, or all (default: memorized)",
    )
    add(
        "--margins",
        action="store_true",
        help="also store margins, logit of the label minus log-sum-exp of the others: "
        "float16, 16 times the size of the outcomes",
    )
    add(
        "--probabilities",
        action="store_true",
        help="also store the class probabilities of the examples that a trial does not "
        "see: float16, 2 bytes times classes times 30%% of the training set, a trial",
    )
    add(
        "--keep-models",
        action="store_true",
        help="keep every model, so that `python -m jaxmem.predict WORKDIR` can run them on "
        "other test sets",
    )

    training = parser.add_argument_group("training")
    training.add_argument(
        "--model",
        default="mlp",
        help=f"architecture: {', '.join(MODELS)} (default: mlp)",
    )
    helps = {
        "epochs": "passes over the subset",
        "batch_size": "examples a step",
        "optimizer": "SGD with plain or with Nesterov's momentum, or AdamW",
        "learning_rate": "at its peak",
        "momentum": "of SGD; b1 of AdamW",
        "schedule": "of the learning rate; linear: down to 0",
        "warmup": "epochs in which the learning rate rises",
        "weight_decay": "of the kernels: L2 in the gradient, of AdamW beside it",
        "label_smoothing": "share of the target spread over all classes",
        "crop": "pixels of zeros around an image before a random crop; 0: none",
        "mirror": "exchange left and right at random",
        "precision": "of products and activations; parameters, statistics and loss are "
        "float32",
        "hidden": "widths of the hidden layers, as in 512,256",
        "standardize": "give each channel, or feature, mean 0 and variance 1 over what a "
        "trial sees; else pixels are divided by 255",
    }
    for field in dataclasses.fields(Recipe):
        flag = f"--{field.name.replace('_', '-')}"
        text = f"{helps[field.name]} {_recipe_default(field.name)}"
        kind = type(field.default)
        if kind is bool:
            action = argparse.BooleanOptionalAction
            training.add_argument(flag, action=action, default=None, help=text)
            continue
        training.add_argument(
            flag,
            type=_widths if kind is tuple else kind,
            choices=CHOICES.get(field.name),
            help=text,
        )

    estimates = parser.add_argument_group("estimates")
    add = estimates.add_argument
    commands.add_thresholds(add)
    commands.add_memory(add)
    add(
        "--influence-matrix",
        action="store_true",
        help="also write the influence within each class, influence_matrix.npz",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 2 for bad input, 130 interrupted."""
    kept = "; what is finished is kept, the same command resumes"
    return commands.run_command(_run, make_parser().parse_args(argv), kept)


def _run(
    mem_threshold: float,
    infl_threshold: float,
    memory: float,
    influence_matrix: bool,
    **arguments,
) -> None:
    start = time.perf_counter()
    data = take_dataset(arguments)
    for line in class_gaps(data):
        say(f"warning: {line}")
    run = run_trials(data, **arguments)
    if not run.trials.size:
        raise InputError(
            f"all {run.diverged} trials in {run.workdir} diverged; "
            "give a smaller --learning-rate"
        )
    pairs = run.pairs(infl_threshold, mem_threshold)
    with commands.writing(run.workdir, "; the trials are kept"):
        exports.save_estimates(run, pairs, run.workdir)
        if influence_matrix:
            exports.save_class_matrices(run, run.workdir)
        figures.save_all(run, data, pairs, mem_threshold)
        summary = summarize(run, pairs, mem_threshold, memory)
        summary["wall seconds"] = round(time.perf_counter() - start, 1)
        write_json(run.workdir / "summary.json", summary)
    print_table(summary, {"ensemble": _layout(run), "results": str(run.workdir)})


def _layout(run: Run) -> str:
    plan = read_plans(run.workdir).get(hardware())
    if plan is None:
        return "trained elsewhere"
    return f"width {plan.width} on each of {hardware()}"


if __name__ == "__main__":
    commands.exit_with(main)
