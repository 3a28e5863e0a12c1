import jax
import pytest

from jaxmem import planning
from jaxmem.ensemble import Plan, make_ensemble, make_job
from jaxmem.keys import root_key
from jaxmem.models import make_model
from jaxmem.recipes import Recipe


@pytest.fixture
def ensemble(tiny):
    recipe = Recipe(epochs=4, batch_size=8, hidden=(5,))
    job = make_job(make_model("mlp", 3, (5,)), recipe, "packed", 61, 43)
    return make_ensemble(job, tiny, root_key(0))


def pretend(monkeypatch, seconds):
    """Seconds a model at each width; None is a width that does not fit in memory."""

    def timer(ensemble, probe, width):
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
    assert planning.make_plan(ensemble, trials=10_000).width == width


def test_no_wider_than_there_are_trials(monkeypatch, ensemble):
    pretend(monkeypatch, {1: 1.0, 4: 0.1})
    assert planning.make_plan(ensemble, trials=17).width == 4  # 5 for each of 4 devices
    assert planning.make_plan(ensemble, trials=12) == Plan(4, 1, 1)


def test_blocks_take_about_two_seconds(monkeypatch, ensemble):
    # The probe is the whole training here: 4 epochs of 6 steps.
    pretend(monkeypatch, {1: 0.01, 4: 1.0})
    assert planning.make_plan(ensemble, trials=10_000) == Plan(4, 1, 50)
    assert planning.make_plan(ensemble, trials=40) == Plan(4, 1, 10)


def test_given_width_is_taken(ensemble):
    plan = planning.make_plan(ensemble, trials=8, width=2)
    assert plan == Plan(devices=4, width=2, rounds=1)


def test_real_timing_returns_seconds_of_a_model(ensemble):
    _, seconds = planning._fastest(ensemble, planning._probe_job(ensemble.job), most=1)
    assert 0 < seconds < 1
