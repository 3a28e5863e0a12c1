"""Files of a workdir that are lost, damaged, or of another version."""

import dataclasses
import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from runs import assert_same

import jaxmem
from jaxmem import InputError, estimate
from jaxmem.storage.config import FORMAT
from jaxmem.storage.workdir import locked

ARRAYS = ("included", "train_correct", "test_correct", "train_accuracy", "final_loss")
OLD = Path(__file__).parents[1] / "workdirs"


@pytest.fixture
def run(tiny, tiny_recipe, tmp_path):
    flags = {**tiny_recipe, "margins": True}
    run = jaxmem.run_trials(tiny, 70, tmp_path / "run", **flags)  # two chunks
    shutil.copytree(run.workdir, tmp_path / "whole")  # which stays whole
    return dataclasses.replace(jaxmem.open_run(tmp_path / "whole"), workdir=run.workdir)


def chunk(run, name, number=0):
    folder = run.workdir / "trials.zarr" / name / "c"
    (path,) = [p for p in folder.rglob("*") if p.is_file() and _number(p, folder) == number]
    return path


def _number(path, folder):
    return int(path.relative_to(folder).parts[0])


def lose(path):
    path.unlink()


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("damage", [lose, flip, cut])
@pytest.mark.parametrize("name", ARRAYS)
def test_damage_is_named_and_mended(run, tiny, tiny_recipe, name, damage, capsys):
    """The trials of a damaged file are left out; the same command trains just these."""
    damage(chunk(run, name, 1))
    left = jaxmem.open_run(run.workdir)
    hurt = np.arange(64, 70)
    if damage is lose and name == "test_correct":  # of a trial that gets none right: as is
        hurt = hurt[run.test_correct[64:].any(axis=1)]
    assert left.damage.trials.tolist() == hurt.tolist()
    assert left.trials.tolist() == np.setdiff1d(np.arange(70), hurt).tolist()
    assert f"of trials {hurt[0]}, {hurt[1]}, " in str(left.damage)
    np.testing.assert_array_equal(left.train_correct, run.train_correct[left.trials])
    assert estimate.main([str(run.workdir)]) == 0
    assert f"{hurt.size} damaged" in capsys.readouterr().out
    summary = json.loads((run.workdir / "summary.json").read_text())
    assert any("damaged" in line for line in summary["warnings"])

    mended = jaxmem.run_trials(tiny, 70, run.workdir, margins=True, **tiny_recipe)
    assert "is damaged" in capsys.readouterr().err
    assert_same(run, mended)
    np.testing.assert_array_equal(run.train_margin, mended.train_margin)


@pytest.mark.parametrize("damage", [lose, flip])
def test_damaged_margins(run, tiny, tiny_recipe, damage):
    damage(chunk(run, "train_margin"))
    left = jaxmem.open_run(run.workdir)
    np.testing.assert_array_equal(left.memorization, run.memorization)
    with pytest.raises(InputError, match="train_margin of trial 0 is damaged or lost"):
        _ = left.train_margin
    mended = jaxmem.run_trials(tiny, 70, run.workdir, margins=True, **tiny_recipe)
    np.testing.assert_array_equal(run.train_margin, mended.train_margin)


@pytest.mark.parametrize("damage", [lose, flip])
def test_damaged_status(run, tiny, tiny_recipe, damage):
    damage(chunk(run, "status"))
    assert jaxmem.open_run(run.workdir).trials.tolist() == list(range(64, 70))
    assert_same(run, jaxmem.run_trials(tiny, 70, run.workdir, margins=True, **tiny_recipe))


def test_lost_description_of_an_array(run, tiny, tiny_recipe):
    (run.workdir / "trials.zarr" / "test_correct" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot open .*test_correct"):
        jaxmem.open_run(run.workdir)
    assert_same(run, jaxmem.run_trials(tiny, 70, run.workdir, margins=True, **tiny_recipe))


@pytest.mark.parametrize("name", ["examples.npz", "plan.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"PK\x03\x04", None])
def test_damaged_companions(run, tiny, tiny_recipe, name, content):
    path = run.workdir / name
    path.unlink() if content is None else path.write_bytes(content)
    if name == "examples.npz":
        with pytest.raises(InputError, match=r"examples\.npz"):
            jaxmem.open_run(run.workdir)
    elif content is not None:  # begun anew, its numbers would name other layouts
        with pytest.raises(InputError, match=r"plan\.json is damaged .* or remove it"):
            jaxmem.run_trials(tiny, 71, run.workdir, margins=True, **tiny_recipe)
        assert path.read_bytes() == content
        path.unlink()
    assert_same(run, jaxmem.run_trials(tiny, 70, run.workdir, margins=True, **tiny_recipe))
    jaxmem.open_run(run.workdir)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "{}", '{"format": "x"}'])
def test_damaged_configuration(run, content, tiny, tiny_recipe):
    (run.workdir / "config.json").write_text(content)
    with pytest.raises(InputError, match=str(run.workdir)):
        jaxmem.open_run(run.workdir)
    with pytest.raises(InputError, match=str(run.workdir)):
        jaxmem.run_trials(tiny, 70, run.workdir, **tiny_recipe)


def test_workdirs_of_other_formats_say_what_wrote_them(tiny, tmp_path):
    shutil.copytree(OLD / "format1", tmp_path / "old")
    said = r"was written by jaxmem 0\.1\.0 in format 1; this one reads format 3"
    with pytest.raises(InputError, match=said):
        jaxmem.open_run(tmp_path / "old")
    with pytest.raises(InputError, match=said):
        jaxmem.run_trials(tiny, 4, tmp_path / "old")
    with pytest.raises(InputError, match=said):
        jaxmem.predict_trials(tmp_path / "old", tiny)


def test_this_format_stays_readable():
    """Where this fails, raise `FORMAT`, and keep this folder beside a new one."""
    run = jaxmem.open_run(OLD / f"format{FORMAT}")
    assert run.trials.size == 4 and run.damage.trials.size == 0
    with np.load(OLD / f"format{FORMAT}" / "expected.npz") as expected:
        for name in ("included", "train_correct", "test_correct", "memorization"):
            np.testing.assert_array_equal(getattr(run, name), expected[name])


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_no_locks_is_not_another_run(tmp_path, monkeypatch, capsys, number):
    def refuse(*_):
        raise OSError(number, "not here")

    monkeypatch.setattr("fcntl.flock", refuse)
    with locked(tmp_path / "run"):
        pass
    assert "cannot be locked (not here)" in capsys.readouterr().err
