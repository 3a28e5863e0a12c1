"""Models that did not learn say so."""

import json

import numpy as np

from jaxmem import run
from jaxmem.estimates.learning import learning_warning


def test_what_is_said_of_models():
    labels = np.repeat([0, 1, 2, 3], [40, 20, 20, 20])
    assert "did not learn" in learning_warning(np.full(5, 0.41), labels)
    assert "in 40.0%" in learning_warning(np.full(5, 0.41), labels)
    assert "fit 80.0% of" in learning_warning(np.full(5, 0.8), labels)
    assert learning_warning(np.full(5, 0.99), labels) is None
    assert learning_warning(np.array([0.99, np.nan]), labels) is None
    assert learning_warning(np.zeros(0), labels) is None


def test_a_run_that_did_not_learn(tmp_path, capsys):
    """At once, in the table and in summary.json."""
    flags = ["--trials=4", "--epochs=1", "--learning-rate=1e-6", "--width=1"]
    assert run.main([*flags, f"--workdir={tmp_path}"]) == 0
    said = capsys.readouterr()
    assert "jaxmem: warning: the models did not learn" in said.err
    assert "warning                the models did not learn" in said.out
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert len(summary["warnings"]) == 1 and "did not learn" in summary["warnings"][0]
