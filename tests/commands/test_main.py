"""`jaxmem run …` is `python -m jaxmem.run …`."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxmem
from jaxmem.__main__ import COMMANDS, main


def test_every_command_of_the_package_has_a_name():
    files = Path(jaxmem.__file__).parent.glob("*.py")
    found = {f.stem for f in files if re.search("^def make_parser", f.read_text(), re.M)}
    assert set(COMMANDS) == found


def test_help_says_what_each_command_does(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        doc = importlib.import_module(f"jaxmem.{name}").__doc__
        assert re.search(rf"^  {name} +{re.escape(doc.splitlines()[0])}$", text, re.M)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxmem {jaxmem.__version__}\n"


def test_arguments_and_exit_codes_are_the_commands_own(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["estimate", str(tmp_path)])
    assert end.value.code == 2
    assert f"{tmp_path} holds no jaxmem run" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["train"], ["--trials=3"]])
def test_an_unknown_command_is_refused_with_the_known_ones(argv, capsys):
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert "estimate" in captured.err and not captured.out
    assert all(f"unknown command {word!r}" in captured.err for word in argv)


def test_help_loads_no_jax():
    code = "import sys, jaxmem.__main__ as m; m.main(['-h']); print('jax' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "False", result.stderr
