"""The flags of the network and its training: a flag for each field of `Recipe`."""

import argparse
import dataclasses
from collections.abc import Callable

from jaxmem._shared.arguments import keywords
from jaxmem.errors import InputError
from jaxmem.models import MODELS
from jaxmem.models.own import WAY, Options
from jaxmem.training.hyperparameters import Recipe, choices_of
from jaxmem.training.recipes import RECIPES, general_recipe


def add_recipe(parser: argparse.ArgumentParser, model: str | None = "mlp") -> None:
    """The network, and every field of `Recipe`; model: the default, None: by the data."""
    add = parser.add_argument_group("training").add_argument
    known = ", ".join(MODELS)
    default = model or "cnn for pictures, mlp for rows"
    own = f"or a network of your own, {WAY}"
    add("--model", default=model, help=f"{known}; {own} (default: {default})")
    add(
        "--model-options",
        type=_options,
        metavar="KEY=VALUE,…",
        help="keywords for an own network's factory, as in depth=4,width=64",
    )
    for field in dataclasses.fields(Recipe):
        flag, kind = f"--{field.name.replace('_', '-')}", type(field.default)
        text = f"{field.metadata['help']} {_default(field)}"
        if kind is bool:
            add(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
            continue
        parse = _widths if kind is tuple else kind
        add(flag, type=parse, choices=choices_of(field), help=text)


def _options(text: str) -> Options:
    try:
        return keywords("model options", text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _widths(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def _default(field: dataclasses.Field) -> str:
    """The default of a recipe's field, for --help: the general one and who differs."""

    def show(recipe: Recipe) -> str:
        value = getattr(recipe, field.name)
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

    if by_size := field.metadata["by size"]:
        return f"(default: {by_size}; {_own(show, None)})"
    general = show(general_recipe(10**6))
    own = _own(show, general)
    return f"(default: {general}{'; ' if own else ''}{own})"


def _own(show: Callable[[Recipe], str], general: str | None) -> str:
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
