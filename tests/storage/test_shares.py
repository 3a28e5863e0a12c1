"""Shares of a workdir: which trials, and who excludes whom."""

import contextlib
import errno
import fcntl
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.storage import workdir
from jaxmem.storage.layouts import Layout, read_layouts, settle
from jaxmem.storage.shares import Share, parse_share
from jaxmem.storage.store import create_store
from jaxmem.storage.workdir import last_one_out, left_in_flight, locked, setting_up

SLURM = {
    "SLURM_ARRAY_TASK_ID": "7",
    "SLURM_ARRAY_TASK_COUNT": "4",
    "SLURM_ARRAY_TASK_MIN": "5",
}


def test_shares_own_whole_chunks_and_every_trial_once():
    trials = np.arange(1000)
    owned = np.stack([Share(i, 3).owns(trials) for i in range(3)])
    assert (owned.sum(axis=0) == 1).all()
    assert np.flatnonzero(owned[1])[[0, 63, 64]].tolist() == [64, 127, 256]


@pytest.mark.parametrize(
    "text, environment, share",
    [
        ("0/1", {}, (0, 1)),
        (" 3/16 ", {}, (3, 16)),
        ("auto", SLURM, (2, 4)),
        ("auto", {**SLURM, "SLURM_ARRAY_TASK_STEP": "2"}, (1, 4)),
        ("auto/8", {"JOB_COMPLETION_INDEX": "5"}, (5, 8)),
    ],
)
def test_share_of_a_text(text, environment, share):
    assert parse_share(text, environment) == share


@pytest.mark.parametrize(
    "text, environment, said",
    [
        ("2/2", {}, "--share=2/2: there is no share 2 of 2; give --share=I/N with 0 <= I"),
        ("0/0", {}, "there is no share 0 of 0"),
        ("1", {}, "--share=1 is no share"),
        ("-1/2", {}, "is no share"),
        ("a/b", {}, "is no share"),
        ("auto", {}, "finds no scheduler: --share=auto reads SLURM_ARRAY_TASK_ID"),
        ("auto", {"JOB_COMPLETION_INDEX": "5"}, "give --share=auto/N"),
        ("auto", {**SLURM, "SLURM_ARRAY_TASK_ID": "12"}, "no share 7 of 4"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_COUNT is '', no number"),
    ],
)
def test_what_is_no_share(text, environment, said):
    with pytest.raises(InputError, match=said):
        parse_share(text, environment)


def test_who_excludes_whom(tmp_path, monkeypatch):
    monkeypatch.setattr(workdir, "SHARE_SECONDS", 0.0)
    with locked(tmp_path, Share(0, 2)), locked(tmp_path, Share(1, 2)):
        for share, said in (
            (Share(0, 2), r"another process trains share 0/2 of"),
            (Share(0, 3), r"is being trained in 2 shares, not 3"),
            (None, "another run is writing"),
        ):
            with pytest.raises(InputError, match=said), locked(tmp_path, share):
                pass
        with last_one_out(tmp_path) as last:
            assert not last
    with locked(tmp_path), pytest.raises(InputError, match="another run is writing"):
        with locked(tmp_path, Share(0, 2)):
            pass
    # Nothing is left of a lock but its file.
    with locked(tmp_path, Share(0, 3)):
        pass
    with last_one_out(tmp_path) as last:
        assert last


def test_a_share_waits_for_who_looks_whether_it_was_the_last(tmp_path):
    """That one has the lock for a moment."""
    with contextlib.ExitStack() as looking:
        looking.enter_context(locked(tmp_path))
        timer = threading.Timer(0.3, looking.close)
        timer.start()
        with locked(tmp_path, Share(0, 2)):
            timer.join()


def test_states_of_a_former_number_of_shares(tmp_path):
    """They are done with once nobody trains in that many shares."""
    (tmp_path / "config.json").touch()
    for name in ("share-0-of-3", "share-1-of-2", "share-0-of-12", "worker-0"):
        (tmp_path / "in_flight" / name).mkdir(parents=True)
    found = left_in_flight(tmp_path, Share(0, 2))
    assert sorted(found) == ["share-0-of-12", "share-0-of-3"]
    with locked(tmp_path, Share(0, 3)):
        assert left_in_flight(tmp_path, Share(0, 2)) == ["share-0-of-12"]
    assert left_in_flight(tmp_path, Share(0, 12)) != found


def test_locks_by_the_rules_of_nfs(tmp_path, monkeypatch):
    """A shared lock needs a file that is open for reading, an exclusive one for writing."""

    def flock(file, kind):
        missing = os.O_WRONLY if kind & fcntl.LOCK_SH else os.O_RDONLY
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == missing:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "share-0-of-3").touch()
    monkeypatch.setattr(fcntl, "flock", flock)
    for share in (None, Share(0, 2)):
        with locked(tmp_path, share), setting_up(tmp_path):
            pass


def test_a_lock_that_fails_is_no_other_run(tmp_path, monkeypatch):
    def flock(file, kind):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    said = f"cannot lock {tmp_path / 'lock'}: Input/output error"
    with pytest.raises(InputError, match=said), locked(tmp_path):
        pass


def test_a_width_is_settled_once(tmp_path):
    """The first of several processes that timed a kind of device decides."""
    for width, replace, settled in ((4, False, 4), (16, False, 4), (8, True, 8)):
        layouts = settle(tmp_path, Layout("gpu", "8 x gpu", width), 3, replace)
        assert layouts.width("gpu") == settled
        assert layouts == read_layouts(tmp_path)
    settle(tmp_path, Layout("tpu", "4 x tpu", 2))
    # A machine with one of them takes the same width, and is told apart.
    layouts = settle(tmp_path, Layout("gpu", "1 x gpu", layouts.width("gpu")))
    assert [each.machine for each in layouts.layouts] == [
        *("8 x gpu", "8 x gpu", "4 x tpu", "1 x gpu")
    ]
    assert [layouts.number(each) for each in layouts.layouts] == [1, 2, 3, 4]
    assert layouts.width("gpu") == 8


def test_plans_of_earlier_workdirs_are_read(tmp_path):
    old = Path(__file__).parents[1] / "workdirs" / "format3" / "plan.json"
    shutil.copy(old, tmp_path / "plan.json")
    assert read_layouts(tmp_path).width("cpu, jax 0.10.2") == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"layouts": [{}], "rounds": {}}'])
def test_a_damaged_plan_is_not_begun_anew(tmp_path, content):
    """Stored trials have the numbers of its layouts."""
    (tmp_path / "plan.json").write_text(content)
    said = f"{tmp_path / 'plan.json'} is damaged .*; put back a copy of it, or remove it"
    with pytest.raises(InputError, match=said):
        settle(tmp_path, Layout("gpu", "8 x gpu", 4))
    with pytest.raises(InputError, match=said):
        read_layouts(tmp_path)
    assert (tmp_path / "plan.json").read_text() == content


def test_shares_are_refused(tiny, tiny_recipe, tmp_path, monkeypatch):
    new = tmp_path / "new"
    for share, said in (
        ("0/3", r"--share=0/3: 100 trials are 2 chunks of 64, so at most 2 shares"),
        ("3/2", "no share 3 of 2"),
    ):
        with pytest.raises(InputError, match=said):
            jaxmem.run_trials(tiny, 100, new, share=share, **tiny_recipe)
        assert not new.exists()
    # A store of an earlier jaxmem, with larger chunks.
    with monkeypatch.context() as patch:
        patch.setattr("jaxmem.storage.store.CHUNK_TRIALS", 4096)
        run = jaxmem.run_trials(tiny, 4, tmp_path / "old", **tiny_recipe)
    with pytest.raises(InputError, match="an earlier jaxmem made it; go on without"):
        jaxmem.run_trials(tiny, 100, run.workdir, share="0/2", **tiny_recipe)
    new.mkdir()
    assert create_store(new, run.config, 4).shared_safely


def test_each_trial_stores_its_layout(tiny, tiny_recipe, tmp_path):
    jaxmem.run_trials(tiny, 4, tmp_path, **tiny_recipe)
    run = jaxmem.run_trials(tiny, 8, tmp_path, **{**tiny_recipe, "width": 2})
    number = run.reader.read("layout", run.trials)
    assert number.tolist() == [1] * 4 + [2] * 4
    assert [each.width for each in read_layouts(tmp_path).layouts] == [1, 2]
