"""The commands' flags: bad input is one line, exit code 2, and nothing is left behind."""

import argparse
import re

import numpy as np
import pytest

import jaxmem.predict
import jaxmem.run
from jaxmem import InputError
from jaxmem.data.flags import add_data_flags, take_dataset


def parsed(*flags, default=None):
    parser = argparse.ArgumentParser()
    add_data_flags(parser, default)
    return vars(parser.parse_args(flags))


def test_the_dataset_that_flags_mean(pictures):
    arguments = {**parsed(f"--dataset={pictures}", "--image-size=4"), "trials": 3}
    data = take_dataset(arguments)
    assert data.train.images.shape == (8, 4, 4, 3) and arguments == {"trials": 3}
    assert take_dataset(parsed(default="digits")).name == "digits"
    with pytest.raises(SystemExit):
        parsed()


def test_messages_speak_of_flags(pictures):
    (pictures / "test/dog/0.png").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"test/dog/0.png .* or give --skip-unreadable to l"
    ):
        take_dataset(parsed(f"--dataset={pictures}"))
    with pytest.raises(InputError, match=r"--test-fraction 2 must be between 0 and 1$"):
        take_dataset(parsed("--dataset=digits", "--test-fraction=2"))
    with pytest.raises(InputError, match=r"x.csv does not exist$"):
        take_dataset(parsed(f"--dataset={pictures}", "--labels=x.csv"))
    with pytest.raises(
        InputError, match=r"digits has no use for --labels=x.csv; leave it o"
    ):
        take_dataset(parsed("--dataset=digits", "--labels=x.csv"))


@pytest.mark.parametrize(
    "flags",
    [
        ["--dataset={pictures}/none"],
        ["--dataset={pictures}", "--test-split=none"],
        ["--dataset=hf:{pictures}", "--target-key=none"],
        ["--dataset=digits", "--image-size=9"],
        ["--dataset={pictures}", "--image-size=0"],
    ],
)
def test_bad_input_of_a_command(pictures, own_cache, tmp_path, capsys, monkeypatch, flags):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code = jaxmem.run.main([flag.format(pictures=pictures) for flag in flags])
    printed = capsys.readouterr()
    assert code == 2 and printed.out == ""
    assert re.fullmatch(r"jaxmem: [^\n]+\n", printed.err), printed.err
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "cache"] == before
    assert not list(own_cache.rglob("*"))


def test_run_and_predict_on_a_folder(pictures, tmp_path, capsys):
    """From a folder of pictures to estimates; the kept models on another folder."""
    workdir = tmp_path / "run"
    common = ["--trials=8", "--epochs=1", "--hidden=4", "--width=1", "--keep-models"]
    run = [f"--dataset={pictures}", "--image-size=4", f"--workdir={workdir}", *common]
    assert jaxmem.run.main(run) == 0
    (pictures / "test").rename(tmp_path / "new")
    flags = [f"--dataset={tmp_path / 'new'}", "--test-split=train", "--image-size=4"]
    assert jaxmem.predict.main([str(workdir), *flags]) == 0
    assert "test examples          4\n" in capsys.readouterr().out
    with np.load(workdir / "predictions/new.npz") as found:
        assert found["test_correct"].shape == (8, 1)
