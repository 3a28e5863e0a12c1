"""Runs that stop once they are sure enough."""

import re

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.counts import Counts
from jaxmem.estimates.stopping import Goal
from jaxmem.running import planning
from jaxmem.training.ensemble import Plan


def test_until_a_standard_error(tiny, tiny_recipe, tmp_path, monkeypatch, capsys):
    """Stops at the first look that finds it, and not before; then trains no more."""
    monkeypatch.setattr(planning, "make_plan", lambda *_: Plan(4, 1, 1))
    monkeypatch.setattr(planning, "TIMED", {})
    flags = {**tiny_recipe, "until_se": 0.12, "se_quantile": 0.9, "se_of": "all"}
    run = jaxmem.run_trials(tiny, 400, tmp_path, **flags)

    def error(trials):
        errors = run.select(run.trials[:trials]).memorization_se
        return np.quantile(errors, 0.9, method="higher")

    # What it takes is said once, as soon as there is a standard error.
    said = capsys.readouterr().err
    assert said.count("0.12 needs") == 1 and "jaxmem: after " in said
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
    """By the rates so far: at half right, errors fall with the root of trials."""
    half = Counts(*(np.full(61, n) for n in (350, 700, 150, 300)))
    goal = Goal(0.0175, 0.5, "all")
    assert goal.error(half) == pytest.approx(0.0344, abs=1e-4)
    # (0.0344 / 0.0175)**2 = 3.9 times as many, 2,900 more at 100 an hour.
    said = goal.outlook(half, 1000, rate=1 / 36)
    assert re.fullmatch(r"se 0.0344: 0.0175 needs 3,9\d\d trials, 29 h more", said)
    # Always right, where they fall with their number.
    always = Counts(*(np.full(61, n) for n in (700, 700, 300, 300)))
    assert goal._replace(se=goal.error(always) / 4).times(always) == pytest.approx(4, 0.02)
    never_out = Counts(*(np.full(61, n) for n in (9, 9, 0, 0)))
    assert goal.outlook(never_out, 9, 1.0) == "no standard error yet"
    assert "1e-09 is out of reach" in goal._replace(se=1e-9).outlook(half, 9, 1.0)
