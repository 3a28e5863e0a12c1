"""Trials that others trained: their files, and estimates from them."""

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError, adopt, estimate
from jaxmem.soft import soft_memorization


@pytest.fixture
def run(tiny, tiny_recipe, tmp_path):
    """Trials of ours, whose arrays stand in for others'."""
    return jaxmem.run_trials(tiny, 20, tmp_path / "ours", margins=True, **tiny_recipe)


def save(folder, **arrays):
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return {name: folder / f"{name}.npy" for name in arrays}


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


def write_release(run, folder, seed=0):
    """As the release's runs are: a folder each, rows in any order."""
    rng = np.random.default_rng(seed)
    for trial in range(run.trials.size):
        seen = np.nonzero(run.included[trial])[0]
        parts = {
            "train": (rng.permutation(seen), run.train_correct),
            "removed": (
                rng.permutation(np.nonzero(~run.included[trial])[0]),
                run.train_correct,
            ),
            "test": (rng.permutation(9), run.test_correct),
        }
        arrays = {"subsample_idx": seen}
        for name, (index, correct) in parts.items():
            arrays[f"index_{name}"] = index
            arrays[f"correctness_{name}"] = correct[trial][index]
        (folder / f"{trial:03d}").mkdir(parents=True)
        np.savez(folder / f"{trial:03d}" / "aux_arrays.npz", **arrays)


def test_runs_of_the_release(run, tmp_path, capsys):
    write_release(run, tmp_path / "release")
    theirs = tmp_path / "theirs"
    assert adopt.main([str(theirs), f"--aux-arrays={tmp_path / 'release'}"]) == 0
    adopted = jaxmem.open_run(theirs)
    for name in ("included", "train_correct", "test_correct"):
        np.testing.assert_array_equal(getattr(adopted, name), getattr(run, name))
    path = tmp_path / "release" / "007" / "aux_arrays.npz"
    with np.load(path) as file:
        arrays = {k: v for k, v in file.items() if k != "correctness_removed"}
    np.savez(path, **arrays)
    again = str(tmp_path / "again")
    assert adopt.main([again, f"--aux-arrays={tmp_path / 'release'}"]) == 2
    assert "007/aux_arrays.npz lacks correctness_removed" in capsys.readouterr().err
    assert adopt.main([again, f"--aux-arrays={tmp_path / 'nothing'}"]) == 2
    assert "no aux_arrays.npz below" in capsys.readouterr().err
    assert adopt.main([again]) == 2
    assert "give either --aux-arrays, or --masks" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change, said",
    [
        ({"masks": np.ones((20, 61))}, r"masks are float64 \[20, 61\]; expected bool"),
        (
            {"masks": np.ones((19, 61), bool)},
            r"train outcomes have shape \[20, 61\]; .* 19",
        ),
        (
            {"test": np.ones((20, 9), int)},
            "test outcomes are int64; expected bool or floating",
        ),
        (
            {"tr_labels": np.zeros(3, int)},
            r"train labels have shape \[3\]; expected \[61\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(run, tmp_path, change, said):
    arrays = {"masks": run.included, "train": run.train_correct, "test": run.test_correct}
    with pytest.raises(InputError, match=said):
        jaxmem.adopt_trials(tmp_path / "theirs", **{**arrays, **change})
    assert not (tmp_path / "theirs").exists()
