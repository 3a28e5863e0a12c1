"""Adopted trials: the same estimates, and a folder that is whole or not there."""

import numpy as np
import pytest
from foreign_trials import (
    OURS,
    save,
)

import jaxmem
from jaxmem import InputError, adopt, estimate
from jaxmem.estimates.soft import soft_memorization


@pytest.fixture
def run(tiny, tiny_recipe, tmp_path):
    """Trials of ours, whose arrays stand in for others'."""
    return jaxmem.run_trials(tiny, 20, tmp_path / "ours", margins=True, **tiny_recipe)


def test_numpy_files_give_the_same_estimates(run, tmp_path, capsys):
    files = save(
        tmp_path / "files",
        masks=run.included,
        train=run.train_correct,
        test=run.test_correct,
        tr=run.tr_labels,
        tt=run.tt_labels,
    )
    flags = [f"--{name}={files[name]}" for name in ("masks", "train", "test")]
    flags += [f"--train-labels={files['tr']}", f"--test-labels={files['tt']}"]
    theirs = tmp_path / "theirs"
    assert adopt.main([str(theirs), *flags]) == 0
    assert "20 trials of 61 training and 9 test examples" in capsys.readouterr().out
    adopted = jaxmem.open_run(theirs)
    np.testing.assert_array_equal(adopted.memorization, run.memorization)
    for a, b in zip(adopted.pairs(0.1, 0.05), run.pairs(0.1, 0.05), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(adopted.test_accuracy, run.test_accuracy, rtol=1e-6)
    np.testing.assert_allclose(adopted.train_accuracy, run.train_accuracy, rtol=1e-6)
    assert estimate.main([str(theirs), "--influence-matrix"]) == 0
    # Not twice into one folder.
    assert adopt.main([str(theirs), *flags]) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_margins_are_kept(run, tmp_path):
    adopted = jaxmem.adopt_trials(
        tmp_path / "theirs", run.included, run.train_margin, run.test_margin
    )
    np.testing.assert_array_equal(adopted.train_margin, run.train_margin)
    np.testing.assert_array_equal(adopted.train_correct, run.train_margin > 0)
    np.testing.assert_array_equal(soft_memorization(adopted), soft_memorization(run))
    # Without labels, pairs are not restricted to a class.
    pairs = adopted.pairs(infl=0.1, mem=-1)
    assert pairs.infl.size == (adopted.influence(np.arange(61)) >= 0.1).sum()


def test_files_that_are_none_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    files = save(tmp_path / "files", **OURS)
    np.savez(tmp_path / "several.npz", **OURS)
    np.save(tmp_path / "objects.npy", np.array([None, "a"]))
    (tmp_path / "damaged.npy").write_bytes(b"nothing")
    flags = [f"--{name}=~/files/{name}.npy" for name in ("masks", "train")]
    for name, said in (
        ("several.npz", "is no readable .npy file"),
        ("objects.npy", "is no readable .npy file"),
        ("damaged.npy", "is no readable .npy file"),
        ("absent.npy", "does not exist"),
        ("files", "is no readable .npy file"),
    ):
        assert adopt.main(["~/theirs", *flags, f"--test={tmp_path / name}"]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"jaxmem: {tmp_path / name} {said}") and err.count("\n") == 1
    assert adopt.main(["~/theirs", *flags, f"--test={files['test']}"]) == 0
    assert jaxmem.open_run(tmp_path / "theirs").trials.size == 20


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left"), None])
def test_an_interrupted_adoption_leaves_nothing(tmp_path, monkeypatch, error):
    workdir = tmp_path / "theirs"
    workdir.mkdir()  # may be there, empty

    def fail(self, trials, outcomes):
        assert not list(workdir.iterdir())
        if error is None:  # somebody else is faster
            (workdir / "config.json").write_text("{}")
        else:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr("jaxmem.storage.store.TrialStore.append", fail)
        patch.setattr("jaxmem.running.adopting.order_warning", lambda *_: None)
        expected = KeyboardInterrupt if error is KeyboardInterrupt else InputError
        with pytest.raises(expected) as caught:
            jaxmem.adopt_trials(workdir, **OURS)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
    if error is None:
        assert f"{workdir} holds a run already" in str(caught.value)
        return
    if expected is InputError:
        assert str(caught.value) == f"cannot write to {workdir}: No space left"
    (tmp_path / ".theirs.partial-1-0").mkdir()  # of one that was killed
    assert jaxmem.adopt_trials(workdir, **OURS).trials.size == 20


def test_folders_that_are_not_new_are_refused(tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "notes").touch()
    with pytest.raises(InputError, match=r"holds other files \(notes, …\)"):
        jaxmem.adopt_trials(tmp_path / "old", **OURS)
    for workdir in (tmp_path / "old" / "notes", tmp_path / "old" / "notes" / "new"):
        with pytest.raises(InputError, match=f"cannot write to {workdir}: "):
            jaxmem.adopt_trials(workdir, **OURS)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match="cannot replace the current folder"):
        jaxmem.adopt_trials(".", **OURS)
    with pytest.raises(InputError, match="is a URL"):
        jaxmem.adopt_trials("gs://bucket/run", **OURS)


def test_trials_of_many_blocks_are_the_same(tmp_path, monkeypatch):
    expected = jaxmem.adopt_trials(tmp_path / "one", **OURS)
    monkeypatch.setattr("jaxmem.storage.foreign.numbers.BLOCK", 7)
    files = save(tmp_path / "files", **OURS)
    mapped = {name: np.load(path, mmap_mode="r") for name, path in files.items()}
    run = jaxmem.adopt_trials(tmp_path / "many", **mapped)
    assert run.config == expected.config
    for name in ("included", "train_correct", "test_correct", "test_accuracy"):
        np.testing.assert_array_equal(getattr(run, name), getattr(expected, name))
