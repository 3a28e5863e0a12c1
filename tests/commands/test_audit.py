"""`jaxmem audit`: its table and files say what its functions say; bad input is one line."""

import csv
import json

import numpy as np
import pytest

import jaxmem
from jaxmem import audit
from jaxmem.estimates.audit import LEAST
from jaxmem.estimates.membership import lira_scores
from jaxmem.estimates.privacy import exposure, true_positive_rate


@pytest.fixture
def run(tmp_path):
    """20 foreign trials, of whose 60 examples the first ten give themselves away."""
    rng = np.random.default_rng(0)
    masks = rng.random((20, 60)) < 0.5
    margin = rng.normal(size=masks.shape) + masks * np.where(np.arange(60) < 10, 12, 0.5)
    test = rng.normal(size=(20, 30))
    return jaxmem.adopt_trials(tmp_path / "run", masks, margin, test)


def test_audit_command(run, capsys):
    assert audit.main([str(run.workdir), "--top=3", "--resamples=20"]) == 0
    out = capsys.readouterr().out
    assert "targets                20, by 19 shadow models each" in out
    assert all(f"\n{name} " in out for name in LEAST) and "most exposed" in out
    assert "scores of non-members is less than one" in out
    found = json.loads((run.workdir / "audit.json").read_text())
    scores = lira_scores(run, variance="fixed")
    rate = found["attacks"]["lira-fixed"]["true_positive_rate"]["0.001"]
    assert rate["value"] == true_positive_rate(scores, run.included)
    assert rate["low"] <= rate["value"] <= rate["high"]
    assert found["attacks"]["lira-fixed"]["epsilon_lower_bound"] > 1
    with open(run.workdir / "exposure.csv") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["row"]) for row in rows[:10]} == set(range(10))
    expected = exposure(scores, run.included)
    for row in rows:
        assert float(row["exposure_lira-fixed"]) == expected[int(row["row"])]
    assert (run.workdir / "audit_roc.png").stat().st_size > 10_000


def test_some_attacks_of_some_trials(run, tmp_path, capsys):
    flags = ["--attack=rmia", "--attack=lira-fixed", "--targets=5", "--shadows=7"]
    assert audit.main([str(run.workdir), *flags, f"--output={tmp_path / 'out'}"]) == 0
    assert "5, by 7 shadow models each" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert list(found["attacks"]) == ["rmia", "lira-fixed"]
    few = run.select(run.trials[:8])
    expected = true_positive_rate(
        lira_scores(few, range(5), variance="fixed"), run.included[:5]
    )
    rate = found["attacks"]["lira-fixed"]["true_positive_rate"]["0.001"]
    assert rate["value"] == expected
    assert not (run.workdir / "audit.json").exists()


def test_copies_are_asked_about_where_they_are_stored(tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(
        tiny, 8, tmp_path, margins=True, queries="mirror", **tiny_recipe
    )
    assert audit.main([str(run.workdir), "--resamples=5"]) == 0
    found = json.loads((run.workdir / "audit.json").read_text())
    assert set(found["attacks"]) == {*LEAST, *(f"{name}-queries" for name in LEAST)}
    scores = lira_scores(run, variance="per-example", queries=True)
    rate = found["attacks"]["lira-queries"]["true_positive_rate"]["0.001"]
    assert rate["value"] == true_positive_rate(scores, run.included)


def test_bad_input_is_one_line(run, tiny, tiny_recipe, tmp_path, capsys):
    plain = jaxmem.run_trials(tiny, 6, tmp_path / "plain", **tiny_recipe)
    folder = str(run.workdir)
    capsys.readouterr()
    for arguments, said in (
        (
            [folder, "--attack=rmia-queries"],
            "stored no queries: run it with --queries=mirr",
        ),
        ([str(plain.workdir)], "stored no margins: run it with --margins"),
        ([str(tmp_path / "none")], "holds no jaxmem run"),
        ([folder, "--targets=21"], "targets 21: there are 20 trials to attack"),
        ([folder, "--shadows=20"], "shadows 20: 20 trials leave 19"),
        ([folder, "--shadows=3", "--attack=lira"], "3 shadow models are fewer than the 4"),
        ([folder, "--memory=1e-6"], "attack fewer targets or give more"),
    ):
        assert audit.main(arguments) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
