"""The runs of Feldman & Zhang's release."""

import numpy as np
import pytest
from foreign_trials import (
    OURS,
)

import jaxmem
from jaxmem import InputError, adopt
from jaxmem.storage.foreign.release import read_aux_arrays


@pytest.fixture
def run(tiny, tiny_recipe, tmp_path):
    """Trials of ours, whose arrays stand in for others'."""
    return jaxmem.run_trials(tiny, 20, tmp_path / "ours", margins=True, **tiny_recipe)


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


def write_one(arrays, trial, folder, change=lambda arrays: {}):
    """One run of the release, with some arrays changed."""
    masks, train, test = (arrays[name][trial] for name in ("masks", "train", "test"))
    seen, removed = np.nonzero(masks)[0], np.nonzero(~masks)[0]
    stored = {"subsample_idx": seen, "index_train": seen, "correctness_train": train[seen]}
    stored |= {"index_removed": removed, "correctness_removed": train[removed]}
    stored |= {"index_test": np.arange(test.size), "correctness_test": test}
    folder.mkdir(parents=True)
    np.savez(folder / "aux_arrays.npz", **{**stored, **change(stored)})
    return folder / "aux_arrays.npz"


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda a: {"subsample_idx": a["subsample_idx"][1:]}, "name different examples"),
        (lambda a: {"index_removed": a["index_removed"] * 0}, "0 … 60 once, but"),
        (lambda a: {"index_removed": a["index_train"][:1]}, "correctness_removed has"),
        (lambda a: {"index_removed": a["index_removed"] - 61}, "index_removed holds -"),
        (lambda a: {"index_test": np.arange(9) - 9}, "index_test holds -9; expected"),
        (lambda a: {"index_test": np.arange(9) + 1}, "once, but 0 is missing"),
        (lambda a: {"index_test": np.arange(9) // 2}, "once, but 0 is named twice"),
        (lambda a: {"index_test": np.arange(9) + 0.5}, "index_test holds 0.5"),
        (lambda a: {"index_test": np.full(9, np.inf)}, "index_test holds inf"),
        (lambda a: {"index_test": np.ones(9, bool)}, "index_test holds bools"),
        (lambda a: {"correctness_test": np.ones(8)}, "has 8 values, index_test 9"),
        (lambda a: {"correctness_test": np.full(9, 0.7)}, "correctness_test holds 0.7"),
        (lambda a: {"correctness_test": np.array(1)}, "correctness_test are int64 []"),
        (lambda a: {"correctness_test": np.array(["1"] * 9)}, "correctness_test are <U1"),
        (lambda a: {"correctness_test": np.array([None])}, "no readable .npz file"),
    ],
)
def test_runs_that_contradict_themselves_are_refused(tmp_path, capsys, change, said):
    path = write_one(OURS, 0, tmp_path / "release" / "000", change)
    assert adopt.main([str(tmp_path / "w"), f"--aux-arrays={tmp_path / 'release'}"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"jaxmem: {path}") and said in err and err.count("\n") == 1
    assert not (tmp_path / "w").exists()


def test_numbers_of_the_release_may_be_floating_point(tmp_path):
    def floats(arrays):
        return {name: a.astype(float) for name, a in arrays.items()}

    for trial in range(20):
        write_one(OURS, trial, tmp_path / f"{trial:03d}", floats)
    for read, given in zip(read_aux_arrays(tmp_path), OURS.values(), strict=True):
        np.testing.assert_array_equal(read, given)
    (tmp_path / "004" / "aux_arrays.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"004/aux_arrays\.npz is no readable \.npz file"):
        read_aux_arrays(tmp_path)
