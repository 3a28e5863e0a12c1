"""The schema against what trials compute, and against what the docs say."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxmem.models import Spec, make_model
from jaxmem.storage.schema import BY_STORE, SCHEMA, Sizes
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import Arrays, make_job
from jaxmem.training.keys import root_key
from jaxmem.training.outcomes import QUANTITIES
from jaxmem.training.subsets import SubsetRule
from jaxmem.training.trial import evaluate_trial, init_trial

STORED = tuple(name for name in SCHEMA if name not in BY_STORE)
PAGE = Path(__file__).parents[2] / "docs" / "files.md"


def test_every_quantity_has_a_function():
    assert set(QUANTITIES) == {*STORED, "diverged"}


@pytest.mark.parametrize("sampling", ["uniform", "bernoulli"])
def test_rows_are_as_the_schema_says(tiny, sampling):
    subsets = SubsetRule(61, 43, sampling, 0.7)
    recipe = Recipe(batch_size=8, hidden=(5,))
    model = make_model("mlp", Spec(3, (5,)))
    job = make_job(model, recipe, "packed", subsets, 3, STORED, queries=("shifts",))
    data, root = Arrays.of(tiny), root_key(0)

    def outcomes(trial):
        state = init_trial(job, data, root, trial)
        return evaluate_trial(job, data, root, trial, state)

    rows = jax.eval_shape(outcomes, jnp.int32(0))
    sizes = Sizes(61, 9, 3, subsets.most_excluded, queries=8)
    for name in STORED:
        quantity = SCHEMA[name]
        assert rows[name].shape == quantity.row_shape(sizes), name
        assert rows[name].dtype == quantity.dtype_of(sizes), name


def test_the_docs_table_is_the_schema():
    table = re.search(r"<!-- schema -->\n(.*?)<!-- /schema -->", PAGE.read_text(), re.S)[1]
    assert table == docs_table()


LETTERS = {"train": "N", "test": "E", "classes": "K", "queries": "Q"}
LETTERS["excluded"] = "excluded"


def docs_table():
    """What stands between the marks of docs/files.md; print it to mend the page."""
    lines = ["| array | type | shape | stored | what |", "|---|---|---|---|---|"]
    when = {None: "always", "trained": "not of adopted trials"}
    for quantity in SCHEMA.values():
        shape = ["T"]
        for axis in quantity.axes:
            name, _, packed = axis.partition(" ")
            shape.append(f"⌈{LETTERS[name]}/8⌉" if packed else LETTERS[name])
        kind = quantity.dtype.replace("class", "uint8 or uint16")
        stored = when.get(quantity.when, f"`--{quantity.when}`".replace("_", "-"))
        doc = f"bits: {quantity.doc}" if "bits" in str(quantity.axes) else quantity.doc
        cells = f"`{quantity.name}`", kind, f"[{', '.join(shape)}]", stored, doc
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
