"""What callers give: any library's numbers, and nothing out of range."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from runs import assert_same

import jaxmem
from jaxmem import InputError, run
from jaxmem._shared.arguments import number, rows_of, whole


def test_whole_numbers_and_numbers():
    assert whole("n", np.int64(3)) == 3 and type(whole("n", np.float32(3))) is int
    assert type(number("x", np.float32(0.5))) is float
    for bad in (1.5, "3", None, np.nan, [1]):
        with pytest.raises(InputError, match=r"n .* must be a whole number"):
            whole("n", bad)
    for bad in ("0.5", None, np.nan, [1, 2]):
        with pytest.raises(InputError, match=r"x .* must be"):
            number("x", bad)
    with pytest.raises(InputError, match=r"x 2 must be in \[0, 1\]"):
        number("x", 2, 0, 1)


def test_rows():
    np.testing.assert_array_equal(rows_of("t", slice(None), 3), [0, 1, 2])
    np.testing.assert_array_equal(rows_of("t", np.uint8(2), 3), [2])
    assert rows_of("t", [], 3).size == 0
    for bad, said in (
        ([-1], "t row -1 is outside 0 … 2"),
        ([0, 3], "t row 3 is outside"),
        ([True, False, True], "flatnonzero"),
        ([0.5], "float64"),
        ([[1]], "expected row numbers"),
    ):
        with pytest.raises(InputError, match=said):
            rows_of("t", bad, 3)


def test_numpy_scalars_are_numbers(tiny, tiny_recipe, tmp_path):
    plain = jaxmem.run_trials(tiny, 4, tmp_path / "a", seed=1, **tiny_recipe)
    other = {
        "epochs": np.int32(2),
        "batch_size": np.int64(8),
        "hidden": np.array([5]),
        "width": np.int8(1),
        "subset_fraction": np.float64(0.7),
        "learning_rate": np.float64(0.1),
        "mirror": np.bool_(False),
    }
    again = jaxmem.run_trials(tiny, np.int64(4), tmp_path / "b", seed=np.uint32(1), **other)
    assert_same(plain, again)
    configs = [json.loads((tmp_path / x / "config.json").read_text()) for x in "ab"]
    assert configs[0] == configs[1]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"epoch": 3}, "unknown argument 'epoch': did you mean 'epochs'"),
        ({"keep_model": True}, "did you mean 'keep_models'"),
        ({"zzz": 1}, "unknown argument 'zzz': a recipe has epochs"),
        ({"seed": 1.5}, "seed 1.5 must be a whole number"),
        ({"epochs": "3"}, "epochs '3' must be a whole number"),
        ({"learning_rate": "x"}, "learning rate 'x' must be a number"),
        ({"learning_rate": np.nan}, "learning rate nan"),
        ({"mirror": "yes"}, "mirror 'yes' must be True or False"),
        ({"until_se": 0.1, "se_of": "some"}, "unknown se of 'some'; known: memorized, all"),
        ({"until_se": np.nan}, "until se nan"),
        ({"subset_fraction": "half"}, "subset fraction 'half' must be a number"),
        ({"workdir": "http://host/run"}, "http://host/run: give a folder"),
        ({"warmup": 1.99, "epochs": 2}, "warmup 1.99 is all of the 12 steps of 2 epochs"),
    ],
)
def test_arguments_that_cannot_be(tiny, tiny_recipe, tmp_path, arguments, said):
    with pytest.raises(InputError, match=said):
        jaxmem.run_trials(tiny, **{"workdir": tmp_path / "w", **tiny_recipe, **arguments})
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.01, -2])
def test_thresholds_that_cannot_be(tiny, tiny_recipe, tmp_path, bad):
    trained = jaxmem.run_trials(tiny, 4, tmp_path, **tiny_recipe)
    for call in (
        lambda: trained.pairs(bad),
        lambda: trained.pairs(0.1, bad),
        lambda: trained.search(bad),
    ):
        with pytest.raises(InputError, match=r"threshold .* must be in \[-1, 1\]"):
            call()
    for flag in ("--mem-threshold", "--infl-threshold"):
        with pytest.raises(SystemExit) as stopped:
            run.main([f"{flag}={bad}"])
        assert stopped.value.code == 2
    for rows in ([-1], [9], [True]):
        with pytest.raises(InputError, match="test row"):
            trained.influence_with_se([0], rows)


SCRIPT = """
import jaxmem, numpy as np, sys
run = jaxmem.run_trials(jaxmem.load_dataset("digits"), 6, sys.argv[1], epochs=2, width=1,
                        margins=True, probabilities=True, crop=1, mirror=True)
print(run.memorization.sum(), run.train_margin.astype(float).sum(), run.pairs().infl.size,
      run.search(0.5, top=1).pairs.infl.size)
"""


def test_x64_changes_nothing(tmp_path):
    said = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, tmp_path / x64],
            env={**os.environ, "JAX_ENABLE_X64": x64, "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for x64 in ("0", "1")
    ]
    assert said[0] == said[1] and said[0].strip()


def test_commands_where_little_is_given(tmp_path):
    """ASCII output, no home directory, ~ in a path; nothing of it costs a run."""
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "LANG", "LC_ALL")}
    env |= {"PYTHONIOENCODING": "ascii", "JAX_PLATFORMS": "cpu"}
    flags = ["--trials=4", "--epochs=1", "--width=1"]

    def call(*arguments, **more):
        return subprocess.run(
            [sys.executable, "-m", "jaxmem.run", *arguments],
            env={**env, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    done = call(*flags, "--workdir=~/mine", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout and (tmp_path / "mine" / "summary.json").exists()
    assert not (tmp_path / "~").exists()
    assert call("--help").returncode == 0
    refused = call(*flags, "--workdir=gs://bucket")
    assert refused.returncode == 2 and "give a folder in it" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_the_readme_names_is_there():
    code = (
        "import jaxmem\n"
        "for name in ('soft', 'valuation', 'datamodels', 'agreement', 'exports'):\n"
        "    getattr(jaxmem, name)\n"
        "jaxmem.models.layers.Conv, jaxmem.content_ids\n"
        "assert 'soft' in dir(jaxmem)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'softer'"):
        _ = jaxmem.softer
