"""A block may take hours: what is told of it on the way."""

import jaxmem
from jaxmem._shared import progress


def test_the_epochs_of_a_long_block_are_shown(
    tiny, tiny_recipe, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    recipe = {**tiny_recipe, "epochs": 6}
    jaxmem.run_trials(tiny, 4, tmp_path / "run", **recipe)  # one block
    lines = [line for line in capsys.readouterr().err.splitlines() if "epochs, " in line]
    assert lines[0].startswith("jaxmem: block of 4 trials: ") and "/6 epochs, " in lines[0]
    done = dict.fromkeys(line.split()[5].split("/")[0] for line in lines)
    assert list(done) == [str(k) for k in range(7)]
    assert all(line.endswith(" left") for line in lines)


def test_nothing_is_said_of_short_ones(tiny, tiny_recipe, tmp_path, capsys):
    jaxmem.run_trials(tiny, 4, tmp_path / "run", **tiny_recipe)
    assert "epochs," not in capsys.readouterr().err
