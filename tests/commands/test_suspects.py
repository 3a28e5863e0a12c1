"""The command, from flags to files."""

import csv

import numpy as np
import pytest

import jaxmem
from jaxmem import suspects
from jaxmem.__main__ import COMMANDS

FAST = ["--trials=8", "--width=2", "--model=mlp"]


@pytest.fixture(scope="module")
def own(tmp_path_factory, digits):
    """300 digits as a user's own file, every tenth label wrong, with names of classes."""
    path = tmp_path_factory.mktemp("own") / "own.npz"
    labels = digits.train.labels[:300].copy()
    labels[::10] = (labels[::10] + 3) % 10
    names = np.array("zero one two three four five six seven eight nine".split())
    np.savez(
        path,
        x_train=digits.train.images[:300, ..., 0],
        y_train=labels,
        x_test=digits.test.images[..., 0],
        y_test=digits.test.labels,
        class_names=names,
    )
    return path


def test_from_a_file_to_a_ranking(own, tmp_path, capsys):
    flags = [f"--dataset={own}", f"--workdir={tmp_path / 'w'}", *FAST]
    write = tmp_path / "new" / "cleaned.npz"
    assert suspects.main([*flags, f"--write={write}", "--confirm=2", "--top=3"]) == 0
    out = capsys.readouterr().out
    assert "wrong labels" in out and "95% interval" in out and "without suspects" in out
    with open(tmp_path / "w" / "suspects.csv") as file:
        rows = list(csv.DictReader(file))
    data = jaxmem.load_dataset(own)
    assert sorted(int(row["row"]) for row in rows) == list(range(300))
    first = [int(row["row"]) for row in rows[:30]]
    assert sum(row % 10 == 0 for row in first) >= 22
    for row in rows[:30]:
        assert row["label"] == data.class_names[data.train.labels[int(row["row"])]]
        assert row["said"] in data.class_names and float(row["margin_se"]) > 0
    with np.load(tmp_path / "w" / "suspects.npz") as stored:
        kept = stored["kept"]
        assert (stored["margin"][first[0]] == stored["margin"].min()) and kept.sum() < 300
    cleaned = jaxmem.load_dataset(write)
    np.testing.assert_array_equal(cleaned.train.images, data.train.images[kept])
    np.testing.assert_array_equal(cleaned.train.names, np.flatnonzero(kept).astype(str))
    assert cleaned.class_names == data.class_names
    # Again: nothing to train, the same ranking; relabelled now.
    before = (tmp_path / "w" / "suspects.csv").read_bytes()
    write = tmp_path / "relabelled.npz"
    assert suspects.main([*flags, f"--write={write}"]) == 0
    assert (tmp_path / "w" / "suspects.csv").read_bytes() == before
    relabelled = jaxmem.load_dataset(write)
    changed = relabelled.train.labels != data.train.labels
    assert changed.any() and not changed[kept].any()


def test_a_finished_run_by_its_margins(tiny, tiny_recipe, tmp_path, capsys):
    jaxmem.run_trials(tiny, 9, tmp_path, margins=True, **tiny_recipe)
    assert suspects.main([str(tmp_path), "--top=2"]) == 0
    out = capsys.readouterr().out
    assert "not known after one round" in out and (tmp_path / "suspects.csv").exists()
    assert suspects.main([str(tmp_path), "--confirm=2"]) == 2
    assert "give" in capsys.readouterr().err


def test_bad_input_is_one_line(tiny, tiny_recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = jaxmem.run_trials(tiny, 4, tmp_path / "plain", **tiny_recipe)
    masked = {"batching": "masked", "margins": True, **tiny_recipe}
    jaxmem.run_trials(tiny, 4, tmp_path / "masked", **masked)
    arrays = {"x_test": np.zeros((4, 5)), "y_test": [0, 1, 0, 1]}
    np.savez("one.npz", x_train=np.zeros((9, 5)), y_train=np.zeros(9, int), **arrays)
    lonely = [0, 1, 0, 1, 0, 1, 2]
    np.savez("lonely.npz", x_train=np.eye(7, 5), y_train=lonely, **arrays)
    before = sorted(p for p in tmp_path.rglob("*"))
    capsys.readouterr()
    for flags, said in (
        (["--dataset=one.npz"], "one"),
        (["--dataset=lonely.npz"], "class 2 has one example, row 6"),
        (["--write=x.npz"], "--write=x.npz must end in cleaned.npz or relabelled.npz"),
        (["--confirm=1"], "confirm 1 must be at least 2"),
        (["--trials=2"], "trials 2 must be at least 4"),
        (["--rounds=0"], "rounds 0 must be at least 1"),
        (["--top=-1"], "top -1 must be at least 0"),
        (["--model=mpl"], "unknown model 'mpl'"),
        ([str(plain.workdir)], "stored no margins: run it with --margins"),
        ([str(plain.workdir), "--dataset=digits"], "is a run on other examples"),
        (["masked"], "was run with --batching=masked"),
        (["nowhere"], "nowhere holds no jaxmem run"),
    ):
        assert suspects.main(flags) == 2, flags
        err = capsys.readouterr().err
        assert err.startswith("jaxmem: ") and said in err and err.count("\n") == 1, err
    assert sorted(p for p in tmp_path.rglob("*")) == before


def test_it_is_a_command():
    assert "suspects" in COMMANDS
