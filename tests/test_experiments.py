"""The parts of the experiments that compute something of their own."""

import sys
from pathlib import Path

import numpy as np
import pytest

import jaxmem


@pytest.fixture
def experiments(monkeypatch):
    """Import an experiment as its own command does."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "experiments"))
    yield lambda name: __import__(name)
    for name in ("mnist_demo", "results_file"):
        sys.modules.pop(name, None)


def test_halves_of_the_trials(experiments, tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(tiny, 40, tmp_path, **tiny_recipe)
    found = experiments("mnist_demo").halves(run, threshold=0.1)

    def mem(part):
        included, correct = run.included[part], run.train_correct[part]
        inside = np.mean(correct, axis=0, where=included)
        return inside - np.mean(correct, axis=0, where=~included)

    first, second = mem(slice(20)) >= 0.1, mem(slice(20, 40)) >= 0.1
    assert found["trials_each"] == 20
    assert found["memorized"] == [first.sum(), second.sum()]
    assert found["memorized_shared"] == (first & second).sum()
