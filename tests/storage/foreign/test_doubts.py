"""Outcomes that do not seem to belong to their masks."""

import numpy as np
from foreign_trials import (
    other_trials,
)

import jaxmem
from jaxmem.storage.foreign.doubts import order_warning


def test_outcomes_in_another_order_than_masks_are_told(tmp_path, capsys):
    arrays = other_trials()
    jaxmem.adopt_trials(tmp_path / "same", **arrays)
    assert capsys.readouterr().err == ""
    turned = {**arrays, "masks": np.roll(arrays["masks"], 1, axis=0)}
    run = jaxmem.adopt_trials(tmp_path / "turned", **turned)
    err = capsys.readouterr().err
    assert err == f"jaxmem: warning: {order_warning(run.reader, run.tr_labels.size)}\n"
    assert "either nothing is memorized, or the rows of the outcomes are in another" in err
    jaxmem.adopt_trials(tmp_path / "inverted", **{**arrays, "masks": ~arrays["masks"]})
    assert "the masks may be inverted" in capsys.readouterr().err
    jaxmem.adopt_trials(tmp_path / "all", **{**arrays, "masks": np.ones((20, 61), bool)})
    assert "none has an estimate" in capsys.readouterr().err
    few = {name: a[:9] for name, a in turned.items()}
    run = jaxmem.adopt_trials(tmp_path / "few", **few)
    assert order_warning(run.reader, run.tr_labels.size) is None


def test_easy_examples_that_are_seen_often_hide_no_wrong_order(tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.random(200)
    masks = rng.random((100, 200)) < 0.9 - 0.8 * hard
    train = rng.random((100, 200)) < 1 - 0.5 * hard  # whatever they saw
    assert train[masks].mean() > train[~masks].mean() + 0.1
    run = jaxmem.adopt_trials(tmp_path / "theirs", masks, train, train)
    assert "in another order" in order_warning(run.reader, run.tr_labels.size)


def test_a_side_that_was_not_written_is_told(tmp_path, capsys):
    arrays = other_trials(e=50)
    arrays["test"][7] = False
    jaxmem.adopt_trials(tmp_path / "theirs", **arrays)
    assert "1 of 20 trials (the first is 7) get no test" in capsys.readouterr().err
