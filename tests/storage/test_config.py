"""What decides a run's results: written, read back, compared, refused."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmem import InputError, Recipe
from jaxmem.storage.config import (
    ADDED,
    FORMAT,
    MAY_DIFFER,
    Inputs,
    Network,
    RunConfig,
    default_workdir,
    read_config,
    write_config,
)
from jaxmem.training.hyperparameters import LATER

CONFIG = RunConfig(
    dataset="digits",
    data="0123456789abcdef",
    train_size=100,
    test_size=30,
    num_classes=10,
    image_shape=(8, 8, 1),
    inputs=Inputs("uint8", 0.0, 240.0),
    model="mlp",
    parameters=1234,
    recipe=Recipe(),
    subset_fraction=0.7,
    subset_size=70,
    sampling="uniform",
    masks=None,
    seed=0,
    batching="packed",
    margins=False,
    probabilities=False,
)
NAMES = [field.name for field in dataclasses.fields(RunConfig)]
# Another value of every field, which leaves the configuration valid.
OTHER = {
    "dataset": "other",
    "data": "fedcba9876543210",
    "train_size": 101,
    "test_size": 31,
    "num_classes": 11,
    "image_shape": (8, 8, 3),
    "inputs": Inputs("float32", 0.0, 1.0),
    "model": "cnn",
    "parameters": None,
    "recipe": Recipe(epochs=31),
    "subset_fraction": 0.8,
    "subset_size": 80,
    "sampling": "balanced",
    "masks": "00ff",
    "seed": 1,
    "batching": "masked",
    "margins": True,
    "probabilities": True,
    "network": Network(("depth=4",), "00ff"),
    "dynamics": True,
    "groups": "00ff",
    "fix": ("init",),
    "highest_margins": True,
    "queries": ("mirror",),
}
recipes = st.builds(
    Recipe,
    epochs=st.integers(10, 500),
    batch_size=st.integers(1, 4096),
    learning_rate=st.floats(1e-6, 10),
    optimizer=st.sampled_from(["sgd", "nesterov", "lamb"]),
    optimizer_options=st.sampled_from(["", "b2=0.9"]),
    momentum=st.floats(0.1, 0.99),
    warmup=st.floats(0, 9),
    hidden=st.lists(st.integers(1, 2048), max_size=3).map(tuple),
    mirror=st.booleans(),
)
inputs = st.builds(Inputs, st.just("int8"), st.floats(-9, 0), st.floats(1, 9))
configs = st.builds(
    dataclasses.replace,
    st.just(CONFIG),
    dataset=st.text(max_size=20),
    seed=st.none() | st.integers(0, 2**32 - 1),
    recipe=st.none() | recipes,
    inputs=st.none()
    | st.builds(Inputs, st.just("int8"), st.floats(-9, 0), st.floats(1, 9)),
    image_shape=st.none() | st.lists(st.integers(1, 99), min_size=3, max_size=3).map(tuple),
    subset_fraction=st.none() | st.floats(0.01, 0.99),
    sampling=st.sampled_from(["uniform", "balanced", "bernoulli", "given"]),
    margins=st.booleans(),
    dynamics=st.booleans(),
    groups=st.none() | st.text(),
    fix=st.sampled_from([(), ("init",), ("init", "order")]),
    highest_margins=st.booleans(),
    queries=st.sampled_from([(), ("shifts",), ("mirror", "shifts")]),
    network=st.none()
    | st.builds(Network, st.lists(st.text()).map(tuple), st.none() | st.text()),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2)
    ),
    max_leaves=4,
)
quick = settings(deadline=None, derandomize=True, max_examples=150)


@given(configs)
@quick
def test_json_and_back(config):
    text = json.dumps(config.to_json())
    assert RunConfig.from_json(json.loads(text)) == config
    assert hash(config) == hash(RunConfig.from_json(json.loads(text)))


@given(st.sampled_from([*NAMES, "stranger"]), values)
@quick
def test_what_was_not_written_is_refused(name, value):
    """Any other value either is a valid configuration, or an InputError: never a crash."""
    changed = {**CONFIG.to_json(), name: value}
    try:
        read = RunConfig.from_json(changed)
    except InputError:
        return
    assert name != "stranger"
    unless = value if name in ADDED else None
    assert json.loads(json.dumps(read.to_json())).get(name, unless) == value


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ADDED])
def test_a_field_that_lacks_is_refused(name):
    lacking = {k: v for k, v in CONFIG.to_json().items() if k != name}
    with pytest.raises(InputError, match=name):
        RunConfig.from_json(lacking)


def test_a_network_of_ours_leaves_no_trace():
    """Neither in the file nor in the name of a default workdir."""
    assert not ADDED.keys() & CONFIG.to_json().keys()
    assert default_workdir(CONFIG).name == "digits-mlp-0aaa06e9"
    own = dataclasses.replace(CONFIG, network=Network((), "00"))
    other = dataclasses.replace(CONFIG, network=Network(("depth=4",), "11"))
    assert [d.term for d in own.differences(other, "resume")] == [
        "model options",
        "the network's file",
    ]


def test_fields_that_came_later():
    """Workdirs without them are read, and default ones keep their names."""
    written = json.loads(json.dumps(CONFIG.to_json()))
    for name in LATER:
        del written["recipe"][name]
    assert RunConfig.from_json(written) == CONFIG
    assert str(default_workdir(CONFIG)) == "runs/digits-mlp-0aaa06e9"
    cropped = dataclasses.replace(CONFIG, recipe=Recipe(resized_crop=0.08))
    assert default_workdir(cropped) != default_workdir(CONFIG)
    assert CONFIG.differences(cropped, "resume") == [("resized crop", 0.0, 0.08)]


@pytest.mark.parametrize("occasion", ["resume", "merge", "time"])
@pytest.mark.parametrize("name", NAMES)
def test_what_may_differ(name, occasion):
    assert set(OTHER) == set(NAMES)
    other = dataclasses.replace(CONFIG, **{name: OTHER[name]})
    free = name in MAY_DIFFER[occasion]
    assert (CONFIG.identity(occasion) == other.identity(occasion)) == free
    found = CONFIG.differences(other, occasion)
    if name == "subset_fraction":
        free = True  # of one size, it is no difference
    assert bool(found) != free
    if name == "recipe":
        assert found == [("epochs", 30, 31)]


def test_bernoulli_fractions_do_differ():
    one, other = (
        dataclasses.replace(
            CONFIG, sampling="bernoulli", subset_size=None, subset_fraction=fraction
        )
        for fraction in (0.5, 0.6)
    )
    assert one.differences(other, "merge") == [("subset fraction", 0.5, 0.6)]


def test_another_format_says_what_wrote_it(tmp_path):
    write_config(tmp_path, CONFIG)
    assert read_config(tmp_path) == CONFIG
    path = tmp_path / "config.json"
    for number in (FORMAT - 1, FORMAT + 1, "x"):
        path.write_text(json.dumps({**CONFIG.to_json(), "format": number}))
        with pytest.raises(InputError, match=f"in format {number}; this one reads"):
            read_config(tmp_path)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"seed": -1}, "seed -1 is outside"),
        ({"train_size": 0}, "number of training examples 0 must be at least 1"),
        ({"recipe": Recipe(epochs=0)}, "epochs 0 must be at least 1"),
        ({"subset_fraction": 1.5}, r"subset fraction 1.5 must be in \[0, 1\]"),
        ({"subset_size": 100, "probabilities": True}, "no held-out probabilities"),
    ],
)
def test_values_out_of_range(change, said):
    with pytest.raises(InputError, match=said):
        dataclasses.replace(CONFIG, **change)


def test_default_workdirs_differ_where_results_do():
    folders = {
        default_workdir(dataclasses.replace(CONFIG, **{name: OTHER[name]}))
        for name in set(NAMES) - {"dataset"}
    }
    assert len({default_workdir(CONFIG), *folders}) == len(NAMES)
    assert str(default_workdir(CONFIG)).startswith("runs/digits-mlp-")
