"""The command, from flags to files."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import jaxmem
from jaxmem import run
from jaxmem.training.recipes import RECIPES, general_recipe

FAST = ["--trials=12", "--epochs=2", "--width=1"]


def test_digits_end_to_end(tmp_path, capsys):
    assert run.main([*FAST, f"--workdir={tmp_path}", "--influence-matrix"]) == 0
    table = capsys.readouterr().out
    assert "12 (0 diverged)" in table and str(tmp_path) in table
    opened = jaxmem.open_run(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["trials"] == 12
    assert summary["memorized"] == (opened.memorization >= 0.25).sum()
    assert summary["test_accuracy"] == pytest.approx(opened.test_accuracy.mean())
    # 12 trials leave some examples never out, or never in.
    assert summary["without_estimate"] == np.isnan(opened.memorization).sum() > 0
    for name in ("memorization_histogram", "memorization_examples", "influence_examples"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "influence_matrix.npz").exists()

    # Again: nothing to train, the same estimates.
    before = (tmp_path / "estimates.npz").read_bytes()
    assert run.main([*FAST, f"--workdir={tmp_path}"]) == 0
    assert (tmp_path / "estimates.npz").read_bytes() == before


def test_flags_reach_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez(
        "own.npz",
        x_train=rng.integers(0, 256, (40, 4, 4, 3), np.uint8),
        y_train=np.arange(40) % 2,
        x_test=rng.integers(0, 256, (10, 4, 4, 3), np.uint8),
        y_test=np.arange(10) % 2,
    )
    flags = {
        "dataset": "own.npz",
        "trials": 5,
        "subset-fraction": 0.5,
        "seed": 7,
        "batching": "masked",
        "width": 1,
        "epochs": 3,
        "batch-size": 4,
        "learning-rate": 0.05,
        "momentum": 0.5,
        "schedule": "linear",
        "label-smoothing": 0.1,
        "hidden": "6,5",
        "model": "mlp",
    }
    assert run.main([f"--{key}={value}" for key, value in flags.items()]) == 0
    (workdir,) = (tmp_path / "runs").iterdir()
    assert workdir.name.startswith("own-mlp-")
    config = json.loads((workdir / "config.json").read_text())
    config |= config["recipe"]
    flags.update(hidden=[6, 5], dataset="own")
    for key in set(flags) - {"trials", "width"}:
        assert config[key.replace("-", "_")] == flags[key], key
    assert jaxmem.open_run(workdir).included.sum(axis=1).tolist() == [20] * 5


def test_help_shows_the_recipes(capsys):
    with pytest.raises(SystemExit) as stop:
        run.main(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    digits = RECIPES["digits", "mlp"]
    small = general_recipe(1000).batch_size
    assert f"2000 examples {small}; {digits.batch_size} for mlp on digits;" in text
    assert "few examples; 60 for mlp on digits; 10 for mlp on mnist; 4 for cnn" in text
    assert "; 0.2 for airbench on cifar10, cifar100; 0.1 for resnet9" in text


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--dataset=mnits"], "unknown dataset 'mnits'"),
        (["--dataset=mnist", "--data-dir={tmp}/none"], "is not prepared in"),
        (["--dataset={tmp}/none.npz"], "does not exist"),
        (["--model=gpt"], "unknown model 'gpt'; known: airbench, cnn, densenet100"),
        (["--subset-fraction=1.5"], "subset fraction 1.5"),
        (["--trials=0"], "trials 0 must be at least 1"),
        (["--batch-size=5000"], "batch size 5000 is larger than the subset of 1006"),
        (["--workdir=/dev/null/run"], "cannot write to /dev/null/run"),
        (["--width=0"], "width 0"),
    ],
)
def test_bad_input_is_one_line(flags, said, tmp_path, capsys, monkeypatch, no_tensorflow):
    monkeypatch.chdir(tmp_path)
    assert run.main([flag.format(tmp=tmp_path) for flag in flags]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("jaxmem: ") and err.count("\n") == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "flag",
    ["--trials=many", "--width=wide", "--batching=piled", "--momentum=", "--hiden=3"],
)
def test_flag_that_cannot_be_read(flag, capsys):
    with pytest.raises(SystemExit) as stop:
        run.main([flag])
    assert stop.value.code == 2
    assert flag.split("=")[0] in capsys.readouterr().err


def test_diverged_training_says_so(tmp_path, capsys):
    flags = [*FAST, f"--workdir={tmp_path}", "--learning-rate=1e30"]
    assert run.main(flags) == 2
    assert "all 12 trials" in capsys.readouterr().err


def test_real_mnist_through_tfds(shared, tmp_path):
    """As a user types it, in a process of its own."""
    command = [
        *(sys.executable, "-m", "jaxmem.run", "--dataset=mnist"),
        f"--data-dir={shared / 'tfds'}",
        *("--trials=6", "--epochs=1", "--hidden=32", "--no-report"),
        f"--workdir={tmp_path}",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Quiet, since this is no terminal, but for what an epoch leaves unfitted.
    assert done.stderr.startswith("jaxmem: warning: the models fit 9")
    assert done.stderr.count("\n") == 1
    opened = jaxmem.open_run(tmp_path)
    assert opened.included.sum(axis=1).tolist() == [42_000] * 6
    assert opened.test_accuracy.min() > 0.9
    known = np.isfinite(opened.memorization)  # neither always in nor never
    said = f"of {known.sum():,} (", f", {opened.included.all(axis=0).sum():,} always in"
    assert "42,000" not in done.stdout and all(part in done.stdout for part in said)
    assert not (tmp_path / "report.html").exists()


def test_an_interrupt_does_not_wait_for_the_epoch(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30_000, 28, 28), np.uint8)
    rows = tmp_path / "rows.npz"
    labels = np.arange(30_000) % 10
    np.savez(rows, x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
    # Some 10 TFLOP an epoch, in one program.
    flags = ["--trials=1", "--epochs=2", "--hidden=4096,4096,4096", "--no-report"]
    command = [sys.executable, "-m", "jaxmem.run", f"--dataset={rows}", *flags]
    process = subprocess.Popen(
        [*command, f"--workdir={tmp_path / 'run'}"], stderr=subprocess.PIPE
    )
    while not (tmp_path / "run" / "plan.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    time.sleep(12)  # the epoch has begun
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=15)
    assert process.returncode == 130 and b"the same command resumes" in said
