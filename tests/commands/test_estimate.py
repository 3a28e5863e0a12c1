"""Estimates from stored trials: alone, merged, searched, refused."""

import csv

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError, estimate


@pytest.fixture
def two(tiny, tiny_recipe, tmp_path):
    return [
        jaxmem.run_trials(tiny, trials, tmp_path / f"{seed}", seed=seed, **tiny_recipe)
        for seed, trials in ((0, 30), (1, 20))
    ]


def test_merged_runs_count_all_their_trials(two):
    merged = jaxmem.merge_runs(two)
    assert merged.trials.size == 50
    for name in ("included", "train_correct", "test_correct", "final_loss"):
        both = np.concatenate([getattr(run, name) for run in two])
        np.testing.assert_array_equal(getattr(merged, name), both)
    inside = np.mean(merged.train_correct, axis=0, where=merged.included)
    outside = np.mean(merged.train_correct, axis=0, where=~merged.included)
    np.testing.assert_allclose(merged.memorization, inside - outside, atol=1e-15)
    assert merged.pairs(infl=0.1, mem=0).infl.size


def test_what_cannot_be_merged(two, tiny, tiny_recipe, tmp_path):
    with pytest.raises(InputError, match="both are of seed 0 and hold trial 0"):
        jaxmem.merge_runs([two[0], two[1], two[0]])
    other = {**tiny_recipe, "epochs": 3}
    longer = jaxmem.run_trials(tiny, 4, tmp_path / "longer", seed=2, **other)
    with pytest.raises(
        InputError, match=r"cannot be merged: epochs \(2 and 3\), warmup .*differ"
    ):
        jaxmem.merge_runs([two[0], longer])


def test_estimate_command(two, tmp_path, capsys):
    folders = [str(run.workdir) for run in two]
    output = tmp_path / "merged"
    flags = [
        "--infl-threshold=0.1",
        "--mem-threshold=0.05",
        "--influence-matrix",
        "--top=3",
    ]
    assert estimate.main([*folders, f"--output={output}", *flags]) == 0
    assert "trials                 50 (0 diverged)" in capsys.readouterr().out
    merged = jaxmem.merge_runs(two)
    with np.load(output / "estimates.npz") as file:
        np.testing.assert_array_equal(file["tr_mem"], merged.memorization)
        np.testing.assert_array_equal(file["infl"], merged.pairs(0.1, 0.05).infl)
    with np.load(output / "search.npz") as file:
        infl = merged.influence(np.arange(61))
        rows, columns = np.nonzero(infl >= 0.1)
        order = np.lexsort((columns, rows, -infl[rows, columns]))
        rows, columns = rows[order], columns[order]
        np.testing.assert_array_equal(file["tr_idx"], rows)
        np.testing.assert_array_equal(file["tt_idx"], columns)
        np.testing.assert_array_equal(file["infl"], infl[rows, columns])
        highest = -np.sort(-infl.T, axis=1)[:, :3]
        np.testing.assert_array_equal(file["tt_top_infl"], highest)
    with open(output / "scores.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == merged.tr_ids.tolist()
    mem, low, high = (
        np.array([float(row[name]) for row in rows])
        for name in ("mem", "mem_low", "mem_high")
    )
    np.testing.assert_array_equal(mem, merged.memorization)
    assert ((low < mem) & (mem < high)).all()
    # The workdirs themselves are left alone.
    assert not (two[0].workdir / "scores.csv").exists()


def test_bad_input_is_one_line(two, tmp_path, capsys):
    folders = [str(run.workdir) for run in two]
    for arguments, said in (
        (folders, "2 workdirs are to be merged: give an --output folder"),
        ([str(tmp_path / "none")], "holds no jaxmem run"),
        ([folders[0], "--top=-1"], "top -1 must be at least 0"),
        ([folders[0], "--top=1", "--memory=1e-5"], "1e-05 GiB of memory are too small"),
    ):
        assert estimate.main(arguments) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
