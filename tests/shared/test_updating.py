"""Files that several processes change at once."""

import subprocess
import sys

import pytest

from jaxmem._shared.updating import update

ADD = """
import sys
from pathlib import Path
from jaxmem._shared.updating import update
for _ in range(50):
    update(Path(sys.argv[1]), lambda old: str(int(old or 0) + 1).encode())
"""


def test_no_change_is_lost(tmp_path):
    path = tmp_path / "count"
    processes = [subprocess.Popen([sys.executable, "-c", ADD, path]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert path.read_text() == "150"
    assert [file.name for file in tmp_path.iterdir()] == ["count"]


def test_what_stays_is_not_written(tmp_path):
    path = tmp_path / "file"
    path.write_text("same")
    before = path.stat().st_mtime_ns
    assert update(path, lambda old: old) == b"same"
    assert path.stat().st_mtime_ns == before
    with pytest.raises((OSError, ValueError)):
        update(path / "within", lambda old: b"new")
