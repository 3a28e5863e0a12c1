"""What a report carries, and what is refused; tests/reporting/test_page.py looks at it."""

import gzip
import json
import re

import numpy as np
import pytest

import jaxmem
from jaxmem import report as command
from jaxmem.reporting.decisions import read_decisions
from jaxmem.reporting.parts import MISSING, fraction, pack
from jaxmem.reporting.report import make_report
from jaxmem.reporting.sheets import plan_thumbnails, sheets
from jaxmem.storage.store import open_store


@pytest.fixture
def run(tiny, tiny_recipe, tmp_path):
    return jaxmem.run_trials(tiny, 9, tmp_path / "w", **tiny_recipe)


@pytest.fixture
def file(tiny, tmp_path):
    path = tmp_path / "tiny.npz"
    (train, test) = tiny.train, tiny.test
    arrays = {"x_train": train.images, "y_train": train.labels}
    np.savez(path, **arrays, x_test=test.images, y_test=test.labels)
    return path


def core(report) -> dict:
    """The meta of a report's first part."""
    return json.loads(gzip.decompress(dict(report.parts)["core"]).split(b"\n")[0])["meta"]


def test_a_part_is_read_as_it_was_packed():
    values = np.array([0.12345, -1, np.nan, 1])
    raw = gzip.decompress(
        pack({"a": 1}, {"x": np.arange(3, dtype=np.uint16), "y": values}, ("y",))
    )
    head, _, body = raw.partition(b"\n")
    places = json.loads(head)["arrays"]
    assert json.loads(head)["meta"] == {"a": 1} and (len(head) + 1) % 8 == 0
    assert places["x"] == {"kind": "uint16", "offset": 0, "shape": [3]}
    stored = np.frombuffer(body, "<i2", 4, places["y"]["offset"])
    assert stored.tolist() == [1234, -10000, MISSING, 10000] == fraction(values).tolist()


@pytest.mark.parametrize("shape", [(4, 4, 1), (4, 4, 3), (300, 200, 3)])
def test_thumbnails_are_the_pictures(shape):
    import io

    from PIL import Image

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, *shape), np.uint8)
    plan = plan_thumbnails(images, 10)
    assert max(plan.height, plan.width) == min(160, shape[0]) and not plan.inked
    (sheet,) = sheets(images, plan)
    pixels = np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB"))
    h, w = plan.height + 2, plan.width + 2
    assert pixels.shape == (2 * h, 32 * w, 3)
    if shape[0] == 4:  # small ones keep every value; the 34th is the second row's third
        cell = pixels[h + 1 : 2 * h - 1, w + 1 : 2 * w - 1]
        np.testing.assert_array_equal(cell[..., : shape[2]], images[33])


def test_light_on_dark_is_ink(digits):
    assert plan_thumbnails(digits.train.images, 360).inked
    assert plan_thumbnails(np.zeros((5, 1, 9, 1)), 5) is None  # rows of numbers


def test_without_data_it_says_so(run, capsys):
    assert command.main([str(run.workdir)]) == 0
    path = run.workdir / "report.html"
    assert str(path) in capsys.readouterr().out
    text = path.read_text()
    assert "default-src 'none'" in text and "//" not in re.sub(
        "sha256-[^']*", "", text[:600]
    )
    notes = core(make_report(run, notes=("without pictures",)))["warnings"]
    assert notes[-1] == "without pictures"


def test_pictures_that_are_gone(run, file, tmp_path, capsys):
    gone = tmp_path / "gone.npz"
    assert command.main([str(run.workdir), f"--dataset={gone}"]) == 0
    assert "without pictures" in capsys.readouterr().err

    class Gone:
        shape, dtype = (61, 4, 4, 1), np.dtype(np.uint8)

        def __getitem__(self, rows):
            raise OSError(5, "Input/output error")

        def __len__(self):
            return 61

    data = jaxmem.load_dataset(file)
    broken = data._replace(train=data.train._replace(images=Gone()))
    report = make_report(run, broken)
    assert core(report)["pictures"] is None
    assert "Input/output error" in core(report)["warnings"][-1]


def test_bad_input_is_one_line(run, file, tiny, tiny_recipe, tmp_path, capsys):
    empty = jaxmem.run_trials(tiny, 1, tmp_path / "empty", **tiny_recipe)
    open_store(empty.workdir, empty.config).forget(empty.trials)
    with np.load(file) as stored:
        arrays = dict(stored)
    arrays["x_train"] = arrays["x_train"].copy()
    arrays["x_train"][:7] ^= 255
    np.savez(tmp_path / "other.npz", **arrays)
    arrays["x_train"], arrays["y_train"] = arrays["x_train"][:50], arrays["y_train"][:50]
    np.savez(tmp_path / "fewer.npz", **arrays)
    (tmp_path / "a file").write_text("")
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis.tex").write_text("")
    (stranger / "data").mkdir()  # as reports have, too
    (stranger / "data" / "own.js").write_text("precious")
    (tmp_path / "no.csv").write_text("row,id\n1,2\n")
    head = "row,id,decision,new_label\n"
    (tmp_path / "id.csv").write_text(f"{head}1,beef,wrong,\n")
    (tmp_path / "word.csv").write_text(f"{head}0,{run.tr_ids[0]},bad,\n")
    (tmp_path / "class.csv").write_text(f"{head}0,{run.tr_ids[0]},wrong,7\n")
    (tmp_path / "twice.csv").write_text(head + f"0,{run.tr_ids[0]},hard,\n" * 2)
    good = tmp_path / "good.csv"
    good.write_text(f"{head}0,{run.tr_ids[0]},wrong,\n")
    capsys.readouterr()
    w, d = str(run.workdir), f"--decisions={tmp_path}"
    for flags, said in (
        ([str(empty.workdir)], "has no finished trials yet"),
        (["nowhere"], "nowhere holds no jaxmem run"),
        ([w, f"--dataset={tmp_path}/other.npz"], "7 of 61 training examples"),
        ([w, f"--dataset={tmp_path}/fewer.npz"], "50 training examples, the run 61"),
        ([w, "--dataset=digits"], "1,437 training examples"),
        ([w, f"--output={tmp_path}/a file/r.html"], "cannot write to"),
        ([w, f"--output={stranger}"], "is a folder of something else"),
        ([w, "--top=0"], "top 0 must be at least 1"),
        ([w, "--write=cleaned.npz"], "needs --decisions"),
        ([w, f"{d}/nothing.csv"], "cannot read"),
        ([w, f"{d}/no.csv"], "has no column 'decision'"),
        ([w, f"{d}/id.csv"], "line 2: the training set of"),
        ([w, f"{d}/word.csv"], "'bad' is no decision: wrong, hard, rare"),
        ([w, f"{d}/class.csv"], "there is no class '7'"),
        ([w, f"{d}/twice.csv"], "line 3: row 0 is decided twice"),
        ([w, f"--decisions={good}", "--write=cleaned.npz"], "needs the data"),
        ([w, f"--decisions={good}", "--write=good.csv"], "must end in .npz"),
        ([w, "--compare=nowhere"], "nowhere holds no jaxmem run"),
        ([w, f"--compare={empty.workdir}"], "has no finished trials yet"),
    ):
        assert command.main(flags) == 2, flags
        err = capsys.readouterr().err
        assert err.startswith("jaxmem: ") and said in err and err.count("\n") == 1, err
    assert (stranger / "data" / "own.js").read_text() == "precious"


def test_a_folder_is_made_anew_beside_what_is_not_ours(run, tmp_path):
    first = make_report(run).save(tmp_path / "report")
    data = first.parent / "data"
    (data / "train-9.js").write_text('jaxmemPart("train-9","")')
    (data / "own.js").write_text("precious")
    make_report(run).save(tmp_path / "report")
    assert (data / "own.js").read_text() == "precious"
    assert not (data / "train-9.js").exists() and (data / "train-0.js").exists()


def test_an_id_that_stands_twice_needs_its_row(tiny, tiny_recipe, tmp_path):
    images = tiny.train.images.copy()
    images[5] = images[2]
    train, test = tiny.train, tiny.test
    data = jaxmem.make_dataset("twice", images, train.labels, test.images, test.labels)
    run = jaxmem.run_trials(data, 3, tmp_path / "w", **tiny_recipe)
    path = tmp_path / "d.csv"
    for row in ("", "9", "\N{SUPERSCRIPT TWO}"):
        path.write_text(f"row,id,decision,new_label\n{row},{run.tr_ids[2]},hard,\n")
        with pytest.raises(jaxmem.InputError, match="stands in 2 rows"):
            read_decisions(path, run)
    path.write_text(f"row,id,decision,new_label\n5,{run.tr_ids[2]},hard,\n")
    assert [decision.row for decision in read_decisions(path, run)] == [5]


def test_a_run_of_other_data_is_not_compared(run, digits, tmp_path):
    other = jaxmem.run_trials(digits, 4, tmp_path / "d", width=1, epochs=1)
    with pytest.raises(jaxmem.InputError, match="runs on different data"):
        make_report(run, other=other)
