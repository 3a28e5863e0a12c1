"""What a job's log shows, where no terminal does."""

import time

from jaxmem._shared import progress as module
from jaxmem._shared.progress import progress, say


def test_lines_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(module, "LINE_SECONDS", 0.05)
    with progress("training", 8, "trials", done=2) as bar:
        for _ in range(6):
            time.sleep(0.03)
            bar.set_postfix_str("test 98%")
            bar.update()
            say("something else")
    err = capsys.readouterr().err
    lines = [line for line in err.splitlines() if "something" not in line]
    assert 1 <= len(lines) < 6 and "\r" not in err
    assert lines[0].startswith("jaxmem: training ") and "/8 trials, " in lines[0]
    assert " left, test 98%" in lines[0]


def test_what_is_short_says_nothing(capsys):
    with progress("decoding", 10, "rows") as bar:
        bar.update(10)
    assert capsys.readouterr().err == ""
