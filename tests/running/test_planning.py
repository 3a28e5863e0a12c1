import jax
import numpy as np
import pytest

from jaxmem._shared.devices import device_kind
from jaxmem.models import Spec, make_model
from jaxmem.running import planning
from jaxmem.storage.layouts import Layout, settle
from jaxmem.training.ensemble import Plan, make_ensemble
from jaxmem.training.hyperparameters import Recipe
from jaxmem.training.job import make_job
from jaxmem.training.keys import root_key
from jaxmem.training.subsets import SubsetRule


@pytest.fixture
def ensemble(tiny):
    recipe = Recipe(epochs=4, batch_size=8, hidden=(5,))
    job = make_job(
        make_model("mlp", Spec(3, (5,))), recipe, "packed", SubsetRule(61, 43), 3
    )
    return make_ensemble(job, tiny, root_key(0))


def pretend(monkeypatch, seconds):
    """Seconds a model at each width; None is a width that does not fit in memory."""

    def timer(ensemble, probe, states, width):
        if seconds[width] is None:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return lambda: seconds[width]

    monkeypatch.setattr(planning, "_timer", timer)


@pytest.mark.parametrize(
    "seconds, width",
    [
        ({1: 1.0, 4: 1.2}, 1),
        ({1: 1.0, 4: 0.95}, 1),  # within the noise: stay narrow
        ({1: 1.0, 4: 0.4, 16: 0.2, 64: 0.19}, 16),
        ({1: 1.0, 4: 0.4, 16: None}, 4),
    ],
)
def test_fastest_width_that_fits_is_kept(monkeypatch, ensemble, seconds, width):
    pretend(monkeypatch, seconds)
    assert planning.make_plan(ensemble).width == width


def test_blocks_take_about_two_seconds(monkeypatch, ensemble):
    # The probe is the whole training here: 4 epochs of 6 steps.
    pretend(monkeypatch, {1: 0.01, 4: 1.0})
    assert planning.make_plan(ensemble) == Plan(4, 1, 50)
    pretend(monkeypatch, {1: 10.0, 4: 40.0})
    assert planning.make_plan(ensemble) == Plan(4, 1, 1)


def test_given_width_is_taken(ensemble):
    plan = planning.make_plan(ensemble, width=2)
    assert (plan.devices, plan.width) == (4, 2) and plan.rounds > 1


def test_a_width_is_timed_by_the_clock(monkeypatch, ensemble):
    """Each look at the clock is 0.06 s later: a training takes that long, four models."""
    now = iter(np.arange(1000) * 0.06)
    monkeypatch.setattr(planning.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(planning, "PROBE_SECONDS", 0.1)  # two trainings
    plan = planning.make_plan(ensemble, width=1)
    # 0.06 / 4 seconds a model, and 4 of the 4 epochs are the probe.
    assert plan == Plan(4, 1, round(planning.BLOCK_SECONDS / 0.06))


@pytest.mark.parametrize(
    "flops, seconds, width",
    [
        (None, {1: 1.0, 4: 1.2}, 1),  # the compiler does not say
        (3e11 / 64 / 20, {16: 1.0, 64: 0.5, 256: 0.49}, 64),
        (3e11 / 64 / 20, {16: None, 4: None, 1: 1.0}, 1),
    ],
)
def test_small_models_begin_wide_on_an_accelerator(
    monkeypatch, ensemble, flops, seconds, width
):
    pretend(monkeypatch, {4: 1.2, 16: 1.0, **seconds})
    monkeypatch.setattr(planning, "_platform", lambda _: "gpu")
    filling = 0.0 if flops is None else flops / planning.FILLS["gpu"]
    monkeypatch.setattr(planning, "_filling", lambda _: filling)
    assert planning.make_plan(ensemble).width == width


def test_a_width_chosen_meanwhile_is_kept(ensemble, tmp_path):
    """By another process, where few trials of this one chose none."""
    settle(tmp_path, Layout.here(4), 2)
    assert settle(tmp_path, Layout.here(1), timed=False).width(device_kind()) == 4
    other = tmp_path / "other"
    other.mkdir()
    for _ in range(2):
        known = settle(other, Layout.here(1), timed=False)
    assert known.width(device_kind()) is None and known.untimed == (device_kind(),)
