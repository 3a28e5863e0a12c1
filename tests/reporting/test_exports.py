"""Files that others read, read by others."""

import numpy as np
import pyarrow.parquet
import pytest
import zarr

import jaxmem
from jaxmem import estimate
from jaxmem.estimates.soft import soft_memorization
from jaxmem.estimates.valuation import held_out_accuracy, total_influence
from jaxmem.reporting import exports


@pytest.fixture
def run(tiny, tiny_recipe, tmp_path):
    return jaxmem.run_trials(tiny, 30, tmp_path, margins=True, **tiny_recipe)


def test_scores_as_parquet(run):
    flags = ["--scores=parquet", "--influence-zarr=all"]
    assert estimate.main([str(run.workdir), *flags]) == 0
    table = pyarrow.parquet.read_table(run.workdir / "scores.parquet").to_pydict()
    assert table["id"] == run.tr_ids.tolist() and table["label"] == run.tr_labels.tolist()
    low, high = run.memorization_interval()
    for name, values in (
        ("mem", run.memorization),
        ("mem_se", run.memorization_se),
        ("mem_low", low),
        ("mem_high", high),
        ("held_out_accuracy", held_out_accuracy(run)),
        ("relative_influence", total_influence(run).of_train),
        ("soft_mem", soft_memorization(run).value),
        ("soft_mem_se", soft_memorization(run).se),
    ):
        np.testing.assert_array_equal(table[name], values)
    assert (run.workdir / "influence.zarr" / "infl").is_dir()


def test_whole_matrix_in_tiles(run, monkeypatch):
    infl, se = run.influence_with_se(np.arange(61))
    monkeypatch.setattr(exports, "TILE", (16, 4))
    for _ in range(2):  # the second replaces the first
        group = zarr.open(exports.save_matrix(run, run.workdir, "all"), mode="r")
        assert group["infl"].chunks == (16, 4)
        np.testing.assert_array_equal(group["infl"][:], infl.astype(np.float32))
        np.testing.assert_array_equal(group["infl_se"][:], se.astype(np.float32))
    assert not list(run.workdir.glob(".*zarr"))


def test_matrix_of_each_class(run):
    infl, se = run.influence_with_se(np.arange(61))
    group = zarr.open(exports.save_matrix(run, run.workdir, "class"), mode="r")
    assert sorted(group) == ["class_0", "class_1", "class_2"]
    for label in range(3):
        part = group[f"class_{label}"]
        rows, columns = part["tr_idx"][:], part["tt_idx"][:]
        np.testing.assert_array_equal(rows, np.nonzero(run.tr_labels == label)[0])
        np.testing.assert_array_equal(columns, np.nonzero(run.tt_labels == label)[0])
        here = np.ix_(rows, columns)
        np.testing.assert_array_equal(part["infl"][:], infl[here].astype(np.float32))
        np.testing.assert_array_equal(part["infl_se"][:], se[here].astype(np.float32))


@pytest.mark.parametrize("name", ["estimates.npz", "scores.csv", "summary.json"])
def test_a_folder_of_our_file_name_is_left_alone(run, tmp_path, name, capsys):
    output = tmp_path / "theirs"
    (output / name).mkdir(parents=True)
    (output / name / "thesis.tex").write_text("years of work")
    assert estimate.main([str(run.workdir), f"--output={output}"]) == 2
    assert f"{name} is a folder of something else" in capsys.readouterr().err
    assert (output / name / "thesis.tex").exists()


def test_a_strangers_zarr_is_left_alone(run, tmp_path, capsys):
    stranger = tmp_path / "out" / "influence.zarr"
    stranger.mkdir(parents=True)
    (stranger / "zarr.json").write_text('{"attributes": {"theirs": 1}}')
    flags = [str(run.workdir), f"--output={tmp_path / 'out'}", "--influence-zarr=all"]
    assert estimate.main(flags) == 2
    assert "influence.zarr is a folder of something else" in capsys.readouterr().err
    assert (stranger / "zarr.json").exists()
