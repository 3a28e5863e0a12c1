import jax
import numpy as np
import pytest

from jaxmem.models import Spec, make_model
from jaxmem.running import planning
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
