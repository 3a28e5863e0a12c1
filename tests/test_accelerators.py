"""What compilers make of the training programs for an H100 and TPUs v5e, without one.

    pytest -m slow tests/test_accelerators.py

in an environment with jax[cuda13] or jax[tpu] (experiments/ahead_of_time.py); each asks for
minutes. Bounds are a tenth above what was seen (experiments/results/accelerators.json).
"""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

PLUGINS = {"h100": "jax_cuda13_plugin", "v5e": "libtpu"}
EXPERIMENTS = Path(__file__).parents[1] / "experiments"
COLLECTIVE = re.compile(
    r"all-reduce|all-gather|collective-permute|all-to-all|reduce-scatter"
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def ahead(monkeypatch):
    """The module that compiles ahead of time."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    sys.modules.pop("ahead_of_time", None)
    import ahead_of_time

    return ahead_of_time


def available(target):
    plugin = PLUGINS[target.split(":")[0]]
    if importlib.util.find_spec(plugin) is None:
        pytest.skip(f"needs {plugin}")


def compiled(ahead, target, dataset, model, width, precision="bfloat16"):
    available(target)
    job = ahead.job_of(dataset, model, precision=precision)
    return ahead.compile_for(ahead.devices_of(target), dataset, job, width)


@pytest.mark.parametrize(
    "target, dataset, model, width, gigabytes, milliseconds",
    [
        ("h100", "mnist", "mlp", 16, 0.05, None),
        ("h100", "mnist", "cnn", 16, 0.25, None),
        ("h100", "cifar100", "resnet9", 1, 5.7, None),
        ("h100", "cifar100", "airbench", 1, 7.0, None),
        ("v5e:2x2", "cifar100", "resnet9", 1, None, 10.0),
    ],
)
def test_a_step_is_what_it_should_be(
    ahead, target, dataset, model, width, gigabytes, milliseconds
):
    programs = compiled(ahead, target, dataset, model, width)
    text = ahead.Text.of(programs.train)
    step = text.step()
    assert not [i.line for i in text.convolutions() if "bf16" not in i.line]
    # No loop over the examples of a batch, which a crop once was.
    assert all((loop.trips or 0) <= 16 for loop in text.loops(step))
    for conv in text.convolutions():
        grouped = re.search(r"(?:feature_group_count|batch_group_count)=(\d+)", conv.line)
        window = re.search(r"window=\{size=(\d+)x", conv.line)
        assert not (grouped and window and int(window[1]) >= 14), conv.line
    if gigabytes is not None:
        assert text.nbytes(step) / width / 1e9 < gigabytes
    if milliseconds is not None:
        assert text.cycles(step) / width / 1.5e6 < milliseconds


@pytest.mark.parametrize("target", ["h100:4", "v5e:2x2", "v5e:4x4"])
def test_devices_do_not_talk_to_each_other(ahead, target):
    programs = compiled(ahead, target, "mnist", "cnn", 4)
    for program in programs:
        assert not COLLECTIVE.search(program.as_text())


def test_a_search_multiplies_much_at_a_time(ahead):
    """On a GPU 4,096 rows by 8,192 columns, in bfloat16; and every device alone."""
    available("h100:4")
    program = ahead.compile_search_for(ahead.devices_of("h100:4"), 10_000, 4_000, 10)
    text = program.as_text()
    assert not COLLECTIVE.search(text)
    product = r"\(\S+: bf16\[4096,4096\], \S+: bf16\[4096,8192\]\) -> s32\[4096,8192\]"
    assert re.search(product, text)


def test_products_are_much_of_a_search(ahead):
    """On a TPU 46 % of the cycles that its compiler expects of all instructions, once each.

    In small tiles it was 6 %.
    """
    available("v5e:2x2")
    program = ahead.compile_search_for(ahead.devices_of("v5e:2x2"), 10_000, 4_000, 10)
    text = ahead.Text.of(program)
    assert not COLLECTIVE.search(program.as_text())
    products = {
        name
        for name, body in text.computations.items()
        if any(i.kind == "convolution" for i in body)
    }
    cycles = {"products": 0, "all": 0}
    for instructions in text.computations.values():
        for i in instructions:
            expected = sum(map(int, re.findall(r'"estimated_cycles":"(\d+)"', i.line)))
            called = re.search(r"calls=%?([\w.\-]+)", i.line)
            cycles["all"] += expected
            cycles["products"] += expected * bool(called and called[1] in products)
    assert cycles["products"] > 0.4 * cycles["all"], cycles
