"""Several processes on one workdir: together they are one process, bit for bit."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from runs import assert_same

import jaxmem
from jaxmem import InputError, estimate, run
from jaxmem.running import planning
from jaxmem.storage.store import TrialStore
from jaxmem.training.ensemble import Plan

COMMAND = [sys.executable, "-m", "jaxmem.run", "--width=1", "--trials=256"]


@pytest.fixture
def small(monkeypatch):
    """Chunks of four trials, trained one after another."""
    monkeypatch.setattr("jaxmem.storage.store.CHUNK_TRIALS", 4)
    monkeypatch.setattr("jaxmem.storage.shares.CHUNK_TRIALS", 4)
    monkeypatch.setattr(planning, "make_plan", lambda *_: Plan(4, 1, 1))
    monkeypatch.setattr(planning, "TIMED", {})


def start(workdir, share):
    command = [*COMMAND, f"--workdir={workdir}", f"--share={share}"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def finished(workdir):
    try:
        return jaxmem.open_run(workdir).trials
    except InputError:
        return np.zeros(0, int)


def test_two_at_once_one_killed_and_run_again(tmp_path, digits):
    """The killed one is started again; who finds all trials makes the estimates."""
    workdir = tmp_path / "run"
    shares = [start(workdir, "0/2"), start(workdir, "1/2")]
    while not (finished(workdir) // 64 % 2 == 1).any():
        assert shares[1].poll() is None, shares[1].communicate()
        time.sleep(0.05)
    shares[1].send_signal(signal.SIGKILL)
    shares[1].communicate()
    _, said = shares[0].communicate()
    assert shares[0].returncode == 0, said
    left = finished(workdir)
    assert {0, 63, 128, 191} <= set(left) and left.size < 256
    assert (
        "the other shares train the rest" in said
        and not (workdir / "summary.json").exists()
    )
    again = start(workdir, "1/2")
    _, said = again.communicate()
    assert again.returncode == 0 and (workdir / "summary.json").exists(), said
    whole = jaxmem.run_trials(digits, 256, tmp_path / "whole", width=1)
    assert_same(jaxmem.open_run(workdir), whole)


def test_the_number_of_shares_may_change(small, tiny, tiny_recipe, tmp_path):
    """A last run without --share trains what is missing; every trial is trained once."""
    flags = {**tiny_recipe, "margins": True}
    whole = jaxmem.run_trials(tiny, 30, tmp_path / "whole", **flags)
    for share in ("1/2", "0/3", None):
        run = jaxmem.run_trials(tiny, 30, tmp_path / "run", share=share, **flags)
    assert_same(run, whole)
    np.testing.assert_array_equal(run.train_margin, whole.train_margin)


def test_no_states_in_flight_stay(small, tiny, tiny_recipe, tmp_path):
    """Those of a former number of shares; and without shares all, though none lacks."""
    jaxmem.run_trials(tiny, 8, tmp_path, **tiny_recipe)
    folder = tmp_path / "in_flight"
    for name in ("share-0-of-3", "share-1-of-2", "0"):
        (folder / name).mkdir(parents=True)
    jaxmem.run_trials(tiny, 8, tmp_path, share="0/2", **tiny_recipe)
    assert sorted(path.name for path in folder.iterdir()) == ["0", "share-1-of-2"]
    jaxmem.run_trials(tiny, 8, tmp_path, **tiny_recipe)
    assert not folder.exists()


def test_estimates_say_how_many_of_how_many(tmp_path, capsys):
    flags = ["--trials=128", "--epochs=1", "--width=1", f"--workdir={tmp_path}"]
    assert run.main([*flags, "--share=1/2"]) == 0
    out, err = capsys.readouterr()
    assert "has 64 of 128 trials: the other shares train the rest" in err and not out
    assert estimate.main([str(tmp_path)]) == 0
    assert "64 of 128 (0 diverged)" in capsys.readouterr().out
    assert run.main([*flags, "--share=0/2"]) == 0
    assert "128 (0 diverged)" in capsys.readouterr().out
    # There is room for more trials now than are asked for.
    assert run.main([*flags[1:], "--trials=256", "--share=2/4"]) == 0
    assert run.main([*flags, "--share=0/2"]) == 0
    assert "192 of 256 (0 diverged)" in capsys.readouterr().out


def test_shares_stop_at_a_goal(small, tiny, tiny_recipe, tmp_path, monkeypatch):
    """Each counts the trials of all; what it has counted is not read again."""
    goal = {**tiny_recipe, "until_se": 0.12, "se_quantile": 0.9, "se_of": "all"}
    first = jaxmem.run_trials(tiny, 120, tmp_path, share="0/2", **tiny_recipe)
    looks, read = [], TrialStore.read

    def spy(self, name, trials):
        if name == "included":
            looks.append(trials)
        return read(self, name, trials)

    with monkeypatch.context() as patch:
        patch.setattr(TrialStore, "read", spy)
        run = jaxmem.run_trials(tiny, 120, tmp_path, share="1/2", **goal)
    assert 60 == first.trials.size < run.trials.size < 120
    assert np.quantile(run.memorization_se, 0.9, method="higher") <= 0.12
    np.testing.assert_array_equal(np.sort(np.concatenate(looks)), run.trials)


def test_models_of_shares(small, tiny, tiny_recipe, tmp_path):
    """Each keeps its own, and `predict` finds all; a trial kept twice counts once."""
    flags = {**tiny_recipe, "keep_models": True}
    for share in ("0/2", "1/2", "0/2", None):
        trials = 20 if share is None else 16
        kept = jaxmem.run_trials(tiny, trials, tmp_path, share=share, **flags)
    names = {path.name for path in (tmp_path / "models").iterdir()}
    assert {"share-0-of-2", "share-1-of-2", "0"} <= names
    again = jaxmem.predict_trials(tmp_path, tiny)
    np.testing.assert_array_equal(again.trials, np.arange(20))
    np.testing.assert_array_equal(again.test_correct, kept.test_correct)


@pytest.mark.parametrize("share", ["2/2", "x", "0/5"])
def test_bad_shares_end_in_a_line(tmp_path, share, capsys):
    flags = ["--trials=256", f"--workdir={tmp_path / 'new'}", f"--share={share}"]
    assert run.main(flags) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"jaxmem: --share={share}") and said.count("\n") == 1
