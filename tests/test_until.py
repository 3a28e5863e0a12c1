"""Runs that stop once they are sure enough."""

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError, running
from jaxmem.ensemble import Plan
from jaxmem.statistics import standard_error


def test_until_a_standard_error(tiny, tiny_recipe, tmp_path, monkeypatch):
    """Stops at the first look that finds it, and not before; then trains no more."""
    monkeypatch.setattr(running, "make_plan", lambda *_: Plan(4, 1, 1))
    monkeypatch.setattr(running, "_PLANS", {})
    flags = {**tiny_recipe, "until_se": 0.12, "se_quantile": 0.9}
    run = jaxmem.run_trials(tiny, 400, tmp_path, **flags)

    def error(trials):
        part = jaxmem.results.memorization_counts(
            np.packbits(run.included[:trials], 1),
            np.packbits(run.train_correct[:trials], 1),
        )
        return np.quantile(standard_error(part)[:61], 0.9, method="higher")

    count = run.trials.size
    assert 20 < count < 300 and error(count) <= 0.12 < error(count - 4)
    assert jaxmem.run_trials(tiny, 400, tmp_path, **flags).trials.size == count
    further = jaxmem.run_trials(tiny, 400, tmp_path, **{**flags, "until_se": 0.11})
    assert count < further.trials.size < 400
    # The bound of trials holds.
    assert (
        jaxmem.run_trials(tiny, 400, tmp_path, **{**flags, "until_se": 0.001}).trials.size
        == 400
    )
    with pytest.raises(InputError, match="until se -1 must be positive"):
        jaxmem.run_trials(tiny, 4, until_se=-1, **tiny_recipe)


def test_outlook_of_a_goal():
    text = running._outlook(running.Goal(0.02, 0.5), 0.04, 100, rate=1 / 36)
    assert text == ", se 0.0400: 0.02 needs 400 trials, 3 h more"
