"""Margins of models that did not see an example, and what is concluded from them."""

import dataclasses

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.suspects import Judgement, conclude, judge, shared_first
from jaxmem.estimates.suspicion import held_out_margin, rank


@pytest.fixture
def run(tiny, tiny_recipe, tmp_path):
    return jaxmem.run_trials(tiny, 9, tmp_path, margins=True, **tiny_recipe)


def test_mean_margin_against_a_loop(run, monkeypatch):
    monkeypatch.setattr("jaxmem.estimates.suspicion.ROWS", 16)
    found = held_out_margin(run)
    for row in range(61):
        margin = run.train_margin[~run.included[:, row], row].astype(float)
        assert found.models[row] == margin.size
        if margin.size == 0:
            assert np.isnan(found.mean[row])
            continue
        assert found.mean[row] == pytest.approx(margin.mean())
        if margin.size > 1:
            se = margin.std(ddof=1) / np.sqrt(margin.size)
            assert found.se[row] == pytest.approx(se)
        else:
            assert np.isnan(found.se[row])


def test_rank():
    assert rank(np.array([1.0, np.nan, -2.0, 1.0])).tolist() == [2, 0, 3, 1]


def test_runs_that_cannot_judge(tiny, tiny_recipe, tmp_path):
    plain = jaxmem.run_trials(tiny, 4, tmp_path / "a", **tiny_recipe)
    with pytest.raises(InputError, match="stored no margins: run it with --margins"):
        judge(plain, first=True)
    masked = jaxmem.run_trials(
        tiny, 4, tmp_path / "b", margins=True, batching="masked", **tiny_recipe
    )
    with pytest.raises(InputError, match=r"--batching=masked.*run it with --batching=pac"):
        judge(masked, first=True)


def judgement(run, margin, first=False, said=None):
    labels = run.tr_labels
    chance = np.full(61, np.nan) if first else (margin < 0).astype(float)
    share = np.ones(61)
    said = labels if said is None else said
    return Judgement(run, margin, share, said, share, chance, first)


def test_what_is_set_aside(run):
    labels = run.tr_labels
    said = labels.copy()
    said[:5] = (labels[:5] + 1) % 3
    first = judgement(run, np.ones(61), first=True, said=said)
    assert np.flatnonzero(first.set_aside).tolist() == [0, 1, 2, 3, 4]
    # Of a class that is contradicted as a whole, the least suspicious half stays.
    rows = np.flatnonzero(labels == 2)
    margin = np.where(labels == 2, -1.0 - np.arange(61), 1.0)
    last = judgement(run, margin, said=np.where(labels == 2, 1, labels))
    aside = np.flatnonzero(last.set_aside)
    assert aside.tolist() == rows[-(rows.size // 2) :].tolist()


def test_what_is_concluded(run, tmp_path):
    first_margin, last_margin = np.linspace(1, 2, 61), np.linspace(1, 2, 61)
    first_margin[[3, 4]], last_margin[[3, 5]] = -2, (-3, -1)
    said = run.tr_labels.copy()
    said[[3, 4]] = (said[[3, 4]] + 1) % 3
    first = judgement(run, first_margin, first=True, said=said)
    later = run.tr_labels.copy()
    later[[3, 6]] = (later[[3, 6]] + 1) % 3
    last = judgement(run, last_margin, said=later)
    assert shared_first(first, last) == 0.5  # 3 of 3 and 5
    assert shared_first(first, judgement(run, np.ones(61))) == 1  # nobody is suspected
    found = conclude([first, last], tmp_path)
    assert found.order[:2].tolist() == [3, 5] and found.stability == 0.5
    assert found.set_aside[[3, 4, 5, 6]].tolist() == [1, 0, 0, 2]
    assert np.flatnonzero(~found.kept).tolist() == [3, 5]
    np.testing.assert_allclose(found.expected_precision[:4], [1, 1, 2 / 3, 1 / 2])
    changed = np.flatnonzero(found.relabelled() != run.tr_labels)
    assert changed.tolist() == [3] and found.relabelled()[3] == said[3]
    table = found.table().to_pydict()
    assert table["rank"] == list(range(1, 62)) and table["row"][:2] == [3, 5]
    assert table["label"][0] == str(run.tr_labels[3]) and table["said"][0] == str(said[3])
    assert table["name"][0] == run.tr_names[3] and table["set_aside_in_round"][:2] == [1, 0]
    assert table["margin"][:2] == [-3, -1]
    alone = conclude([first], tmp_path)
    assert alone.number is None and np.isnan(alone.stability)
    assert np.flatnonzero(alone.suspected).tolist() == [3, 4]


def test_class_names_in_the_table(run, tmp_path):
    named = dataclasses.replace(run, class_names=("a", "b", "c"))
    table = conclude([judge(named, first=True)], tmp_path).table().to_pydict()
    assert table["label"] == ["abc"[k] for k in run.tr_labels[table["row"]]]
