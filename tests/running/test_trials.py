"""Runs on disk: resumed, topped up, killed, refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from runs import assert_same

import jaxmem
from jaxmem import InputError
from jaxmem._shared.devices import device_kind, rounding
from jaxmem._shared.progress import progress
from jaxmem.running import blocks
from jaxmem.storage.layouts import read_layouts
from jaxmem.storage.store import TrialStore, open_store
from jaxmem.storage.workdir import locked
from jaxmem.training.ensemble import Plan


def test_topped_up_is_uninterrupted(tiny, tiny_recipe, tmp_path):
    jaxmem.run_trials(tiny, 7, tmp_path / "a", **tiny_recipe)
    topped = jaxmem.run_trials(tiny, 30, tmp_path / "a", **tiny_recipe)
    whole = jaxmem.run_trials(tiny, 30, tmp_path / "b", **tiny_recipe)
    assert topped.trials.tolist() == list(range(30))
    assert_same(topped, whole)
    # Each trial drew its own subset.
    assert np.unique(whole.included, axis=0).shape[0] == 30


def test_finished_run_trains_nothing(tiny, tiny_recipe, tmp_path, monkeypatch):
    first = jaxmem.run_trials(tiny, 8, tmp_path, **tiny_recipe)
    monkeypatch.setattr(
        "jaxmem.running.trials.blocks_here", lambda *_: pytest.fail("trained")
    )
    assert_same(first, jaxmem.run_trials(tiny, 8, tmp_path, **tiny_recipe))
    assert jaxmem.run_trials(tiny, 3, tmp_path, **tiny_recipe).trials.size == 8


def test_resumed_run_keeps_its_plan(tiny, tiny_recipe, tmp_path, monkeypatch):
    jaxmem.run_trials(tiny, 12, tmp_path, **{**tiny_recipe, "width": 2})
    monkeypatch.setattr(
        "jaxmem.running.planning.make_plan", lambda *_: pytest.fail("planned anew")
    )
    jaxmem.run_trials(tiny, 24, tmp_path, **{**tiny_recipe, "width": None})
    (layout,) = json.loads((tmp_path / "plan.json").read_text())["layouts"]
    assert layout["width"] == 2


def test_few_trials_are_not_timed_and_choose_no_width(
    tiny, tiny_recipe, tmp_path, monkeypatch
):
    timed = []

    def make_plan(ensemble, width):
        timed.append(width)
        return Plan(ensemble.mesh.size, 2, 3)

    monkeypatch.setattr("jaxmem.running.planning.make_plan", make_plan)
    arguments = {**tiny_recipe, "width": None}
    jaxmem.run_trials(tiny, 2, tmp_path, **arguments)
    jaxmem.run_trials(tiny, 6, tmp_path, **arguments)  # four more, one a device
    assert not timed and read_layouts(tmp_path).width(device_kind()) is None
    run = jaxmem.run_trials(tiny, 24, tmp_path, **arguments)
    assert timed == [None] and read_layouts(tmp_path).width(device_kind()) == 2
    with_widths = json.loads((tmp_path / "plan.json").read_text())
    assert [layout["width"] for layout in with_widths["layouts"]] == [1, 2]
    assert "untimed" not in with_widths
    assert run.reader.read("layout", run.trials).tolist() == [1] * 6 + [2] * 18


def test_a_given_width_for_all_at_once_is_not_timed(
    tiny, tiny_recipe, tmp_path, monkeypatch
):
    timed = []

    def make_plan(ensemble, width):
        timed.append(width)
        return Plan(ensemble.mesh.size, width, 3)

    monkeypatch.setattr("jaxmem.running.planning.make_plan", make_plan)
    monkeypatch.setattr("jaxmem.running.planning.TIMED", {})
    once = jaxmem.run_trials(tiny, 8, tmp_path, **{**tiny_recipe, "width": 2})
    assert timed == [] and once.trials.size == 8
    jaxmem.run_trials(tiny, 24, tmp_path, **{**tiny_recipe, "width": None})
    assert timed == [2]  # more than that, as wide as it was
    plan, kind = json.loads((tmp_path / "plan.json").read_text()), device_kind()
    assert plan == {
        "layouts": [{"kind": kind, "machine": rounding(), "width": 2}],
        "rounds": {f"4 x {kind}, width 2": 3},
    }


def test_only_missing_trials_are_trained(tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(tiny, 12, tmp_path / "a", **tiny_recipe)
    holed = jaxmem.run_trials(tiny, 12, tmp_path / "b", **tiny_recipe)
    open_store(tmp_path / "b", holed.config).forget(np.array([2, 3, 9]))
    assert jaxmem.open_run(tmp_path / "b").trials.tolist() == [0, 1, 4, 5, 6, 7, 8, 10, 11]
    trained = []
    append = TrialStore.append

    def spy(self, block, *args):
        trained.extend(block)
        append(self, block, *args)

    bars = []

    def bar(*arguments):
        bars.append(arguments)
        return progress(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialStore, "append", spy)
        patch.setattr("jaxmem.running.storing.progress", bar)
        holed = jaxmem.run_trials(tiny, 12, tmp_path / "b", **tiny_recipe)
    assert trained == [2, 3, 9]
    assert bars == [("training", 12, "trials", 9)]
    assert_same(run, holed)


def test_diverged_trials_are_counted_and_left_out(tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(tiny, 4, tmp_path, **{**tiny_recipe, "learning_rate": 1e30})
    assert run.diverged == 4 and run.trials.size == 0
    assert np.isnan(run.memorization).all()
    assert run.included.shape == (0, 61) and run.pairs().infl.size == 0


def test_narrower_where_memory_is_short(tiny, tiny_recipe, tmp_path, monkeypatch):
    import jax

    real, asked = blocks.run_blocks, []

    def narrow(ensemble, plan, missing, in_flight):
        asked.append(plan)
        if plan.width > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        yield from real(ensemble, plan, missing, in_flight)

    monkeypatch.setattr(blocks, "run_blocks", narrow)
    run = jaxmem.run_trials(tiny, 8, tmp_path, **{**tiny_recipe, "width": 4})
    assert run.trials.size == 8
    assert [plan.width for plan in asked] == [4, 2, 1]


def snapshot(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.name != "lock"}


@pytest.mark.parametrize(
    "change, said",
    [
        ({"seed": 1}, r"seed \(0 there, 1 here\)"),
        ({"epochs": 3}, r"epochs \(2 there, 3 here\)"),
        ({"batching": "masked"}, r"batching \(packed there, masked here\)"),
        ({"subset_fraction": 0.5}, r"subset fraction \(0.7 there, 0.5 here\)"),
    ],
)
def test_another_configuration_is_refused(tiny, tiny_recipe, tmp_path, change, said):
    jaxmem.run_trials(tiny, 4, tmp_path, **tiny_recipe)
    before = snapshot(tmp_path)
    with pytest.raises(InputError, match=said):
        jaxmem.run_trials(tiny, 8, tmp_path, **{**tiny_recipe, **change})
    assert snapshot(tmp_path) == before


def test_other_data_are_refused(tiny, tiny_recipe, tmp_path):
    jaxmem.run_trials(tiny, 4, tmp_path, **tiny_recipe)
    labels = tiny.train.labels.copy()
    labels[0] = (labels[0] + 1) % 3
    other = tiny._replace(train=tiny.train._replace(labels=labels))
    with pytest.raises(InputError, match=rf"examples or labels \({tiny.fingerprint} there"):
        jaxmem.run_trials(other, 4, tmp_path, **tiny_recipe)
    # Another name for the same data is no other data.
    renamed = tiny._replace(name="renamed")
    assert jaxmem.run_trials(renamed, 4, tmp_path, **tiny_recipe).trials.size == 4


def test_another_architecture_of_the_same_name_is_refused(
    tiny, tiny_recipe, tmp_path, monkeypatch
):
    def named_own(width):
        mlp = jaxmem.MODELS["mlp"]
        own = lambda spec: mlp(spec._replace(hidden=(width,)))  # noqa: E731
        monkeypatch.setitem(jaxmem.MODELS, "own", own)

    named_own(5)
    jaxmem.run_trials(tiny, 4, tmp_path, model="own", **tiny_recipe)
    named_own(6)
    with pytest.raises(InputError, match=r"parameters \(103 there, 123 here\)"):
        jaxmem.run_trials(tiny, 4, tmp_path, model="own", **tiny_recipe)


def test_foreign_folder_is_refused(tiny, tiny_recipe, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        jaxmem.run_trials(tiny, 4, tmp_path, **tiny_recipe)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_second_writer_is_refused(tiny, tiny_recipe, tmp_path):
    with (
        locked(tmp_path),
        pytest.raises(InputError, match="another run is writing"),
    ):
        jaxmem.run_trials(tiny, 4, tmp_path, **tiny_recipe)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"trials": 0}, "trials 0"),
        ({"width": 0}, "width 0"),
        ({"batching": "piled"}, "unknown batching 'piled'; known: packed, masked"),
        ({"model": "gpt"}, "unknown model 'gpt'"),
        ({"subset_fraction": 1.0}, "subset fraction 1.0"),
        ({"batch_size": 44}, "batch size 44 is larger than the subset of 43"),
        ({"epochs": 0}, "epochs 0"),
        ({"momentum": 1.0}, "momentum 1.0"),
        ({"learning_rate": 0.0}, "learning rate 0.0"),
        ({"schedule": "cosine"}, "schedule cosine"),
        ({"optimizer": "adma"}, "unknown optimizer 'adma': did you mean adam"),
        ({"optimizer": "lbfgs"}, "optimizer lbfgs cannot take a step: .*value"),
        ({"optimizer": "noisy_sgd"}, "optimizer noisy_sgd draws random numbers"),
        ({"optimizer": "lion", "optimizer_options": "b3=1"}, "lion knows no option b3"),
        ({"optimizer_options": "momentum=1"}, "set momentum; give --momentum=1"),
        ({"optimizer_options": "0.9"}, "optimizer options '0.9' are no keywords"),
        ({"optimizer": lambda rate: None}, "has no name; define it by def"),
        ({"optimizer": 3}, "optimizer 3 must be a word"),
        ({"optimizer": "nesterov", "momentum": 0.0}, "momentum 0.0"),
        ({"warmup": 2.0}, "warmup 2.0 must be at least 0 and less than the 2 epochs"),
        ({"weight_decay": -1.0}, "weight decay -1.0"),
        ({"crop": -1}, "crop -1"),
        ({"precision": "float16"}, "precision float16"),
        ({"label_smoothing": 1.0}, "label smoothing 1.0"),
        ({"hidden": (3, 0)}, "hidden"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_bad_arguments_write_nothing(tiny, tiny_recipe, tmp_path, arguments, said):
    workdir = tmp_path / "new"
    with pytest.raises(InputError, match=said):
        jaxmem.run_trials(tiny, **{"workdir": workdir, **tiny_recipe, **arguments})
    assert not workdir.exists()


def test_unwritable_workdir(tiny, tiny_recipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*: Not a directory"):
        jaxmem.run_trials(tiny, 4, tmp_path / "file" / "run", **tiny_recipe)


def test_open_run_without_a_run(tmp_path):
    with pytest.raises(InputError, match="holds no jaxmem run"):
        jaxmem.open_run(tmp_path / "none")


COMMAND = [sys.executable, "-m", "jaxmem.run", "--width=1", "--trials=240"]


def wait_for_trials(process, workdir, least):
    """Read the run from here while it goes on there."""
    while True:
        assert process.poll() is None, process.communicate()
        try:
            run = jaxmem.open_run(workdir)
        except InputError:
            run = None
        if run is not None and run.trials.size >= least:
            return run
        time.sleep(0.05)


def test_killed_and_resumed_is_uninterrupted(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for least, number in ((1, signal.SIGTERM), (60, signal.SIGKILL)):
        process = subprocess.Popen(
            [*COMMAND, f"--workdir={killed}"], stderr=subprocess.PIPE
        )
        seen = wait_for_trials(process, killed, least)
        process.send_signal(number)
        _, said = process.communicate()
        if number == signal.SIGTERM:  # as Ctrl-C
            assert process.returncode == 130 and b"the same command resumes" in said
        left = jaxmem.open_run(killed)
        assert least <= seen.trials.size <= left.trials.size < 240
        # What a reader saw in flight is what was there in the end.
        np.testing.assert_array_equal(
            seen.test_correct, left.test_correct[np.isin(left.trials, seen.trials)]
        )
    for workdir in (killed, whole):
        subprocess.run([*COMMAND, f"--workdir={workdir}"], check=True, capture_output=True)
    resumed = jaxmem.open_run(killed)
    assert resumed.trials.size == 240
    assert_same(resumed, jaxmem.open_run(whole))


FULL_DISK = """
import resource, sys
from jaxmem import run
# No file may grow beyond 4 KiB: what a write meets on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.exit(run.main(sys.argv[1:]))
"""


def test_full_disk_keeps_what_is_finished(tmp_path):
    flags = ["--epochs=1", "--width=1", f"--workdir={tmp_path}"]
    subprocess.run(
        [sys.executable, "-m", "jaxmem.run", "--trials=10", *flags],
        check=True,
        capture_output=True,
    )
    before = jaxmem.open_run(tmp_path)
    full = subprocess.run(
        [sys.executable, "-c", FULL_DISK, "--trials=64", *flags],
        capture_output=True,
        text=True,
    )
    assert full.returncode == 2, full.stderr
    assert "cannot write to" in full.stderr and "Traceback" not in full.stderr
    after = jaxmem.open_run(tmp_path)
    assert 10 <= after.trials.size < 64
    np.testing.assert_array_equal(after.included[:10], before.included)
    resumed = jaxmem.run_trials(
        jaxmem.load_dataset("digits"), 64, tmp_path, width=1, epochs=1
    )
    assert resumed.trials.size == 64


def test_arrays_are_zarr_v3(tiny, tiny_recipe, tmp_path):
    jaxmem.run_trials(tiny, 4, tmp_path, **tiny_recipe)
    for folder in [tmp_path / "trials.zarr", *(tmp_path / "trials.zarr").iterdir()]:
        if folder.is_dir():
            assert json.loads((folder / "zarr.json").read_text())["zarr_format"] == 3
    assert os.listdir(tmp_path / "trials.zarr" / "included" / "c") == ["0"]


def test_killed_at_the_very_start(tiny, tiny_recipe, tmp_path):
    """Whatever of its files a run had written when it was killed, it starts again."""
    whole = jaxmem.run_trials(tiny, 4, tmp_path / "whole", **tiny_recipe)
    killed = tmp_path / "killed"
    for lost in (
        (),
        ("plan.json", "trials.zarr"),
        ("examples.npz", "plan.json", "trials.zarr"),
    ):
        jaxmem.run_trials(tiny, 4, killed, **tiny_recipe)
        for name in lost:
            target = killed / name
            shutil.rmtree(target) if target.is_dir() else target.unlink()
        (killed / ".1234-config.json").write_text("{")  # of a killed writer
        assert_same(whole, jaxmem.run_trials(tiny, 4, killed, **tiny_recipe))
