"""Runs on given subsets, and on balanced ones."""

import numpy as np
import pytest
from runs import assert_same

import jaxmem
from jaxmem import InputError
from jaxmem.reporting.summary import summarize
from jaxmem.running import planning
from jaxmem.training.ensemble import Plan


def test_given_masks_are_the_subsets(tiny, tiny_recipe, tmp_path):
    drawn = jaxmem.run_trials(tiny, 9, tmp_path / "a", batching="masked", **tiny_recipe)
    given = jaxmem.run_trials(
        tiny, workdir=tmp_path / "b", masks=drawn.included, batching="masked", **tiny_recipe
    )
    # A masked trial knows its subset by the mask alone.
    assert_same(drawn, given)
    packed = jaxmem.run_trials(
        tiny, workdir=tmp_path / "c", masks=drawn.included, seed=1, **tiny_recipe
    )
    np.testing.assert_array_equal(packed.included, drawn.included)
    assert (packed.final_loss != drawn.final_loss).all()


def test_what_given_masks_exclude_leaves_no_trace(tiny, tiny_recipe, tmp_path):
    images = tiny.train.images / np.float32(255)
    test = tiny.test.images / np.float32(255)
    mask = np.arange(61) % 4 > 0
    final = []
    for name, garbage in (("clean", 0), ("garbage", 1e30)):
        x = np.where(mask[:, None, None, None], images, images + np.float32(garbage))
        data = jaxmem.make_dataset(name, x, tiny.train.labels, test, tiny.test.labels)
        run = jaxmem.run_trials(
            data, workdir=tmp_path / name, masks=np.tile(mask, (3, 1)), **tiny_recipe
        )
        final.append(run)
    np.testing.assert_array_equal(final[0].final_loss, final[1].final_loss)
    np.testing.assert_array_equal(final[0].test_correct, final[1].test_correct)
    # Three trials of one subset are three models.
    assert np.unique(final[0].final_loss).size == 3


def test_masks_may_include_everything(tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(
        tiny, workdir=tmp_path, masks=np.ones((2, 61), bool), **tiny_recipe
    )
    assert run.included.all() and np.isnan(run.memorization).all()
    np.testing.assert_allclose(run.train_accuracy, run.train_correct.mean(axis=1))


@pytest.mark.parametrize(
    "masks, said",
    [
        (np.ones((3, 60), bool), r"bool \[3, 60\]; expected bool \[trials, 61\]"),
        (np.ones((3, 61), int), r"masks are int64 \[3, 61\]; expected bool"),
        (np.tri(3, 61, -1, dtype=bool), "row 0 of the masks includes no example"),
        (np.ones((3, 61), bool), "4 trials need as many masks, but 3 are given"),
    ],
)
def test_masks_that_cannot_be(tiny, tiny_recipe, tmp_path, masks, said):
    trials = 4 if "trials need" in said else None
    with pytest.raises(InputError, match=said):
        jaxmem.run_trials(tiny, trials, tmp_path, masks=masks, **tiny_recipe)


def test_other_masks_are_another_run(tiny, tiny_recipe, tmp_path):
    masks = np.arange(61) % np.array([[2], [2]]) > 0
    jaxmem.run_trials(tiny, workdir=tmp_path, masks=masks, **tiny_recipe)
    masks[1] = np.roll(masks[1], 1) & (np.arange(61) > 0)
    masks[1, 60] = True
    assert masks[0].sum() == masks[1].sum()
    with pytest.raises(InputError, match=r"holds another run: masks \("):
        jaxmem.run_trials(tiny, workdir=tmp_path, masks=masks, **tiny_recipe)


def test_masks_of_different_sizes_that_grow(tiny, tiny_recipe, tmp_path):
    """Topped up, in any batches, it is the run in one go; what is always in says so."""
    masks = np.random.default_rng(0).random((12, 61)) < np.linspace(0.3, 0.8, 12)[:, None]
    masks[:, 20:] = True
    small, more = masks[:5], tmp_path / "a"
    jaxmem.run_trials(tiny, workdir=more, masks=small, **tiny_recipe)
    first = jaxmem.open_run(more)
    grown = jaxmem.run_trials(tiny, workdir=more, masks=masks, **tiny_recipe)
    whole = jaxmem.run_trials(tiny, workdir=tmp_path / "b", masks=masks, **tiny_recipe)
    assert_same(grown, whole)
    np.testing.assert_array_equal(first.final_loss, grown.final_loss[:5])
    np.testing.assert_array_equal(grown.included, masks)
    # The longer masks stay, whoever asks for the first of them again.
    assert_same(jaxmem.run_trials(tiny, workdir=more, masks=small, **tiny_recipe), grown)
    assert_same(jaxmem.run_trials(tiny, workdir=more, masks=masks, **tiny_recipe), grown)
    other = masks.copy()
    other[7, :2] ^= True
    with pytest.raises(InputError, match=r"holds another run: masks \("):
        jaxmem.run_trials(tiny, workdir=more, masks=other, **tiny_recipe)
    # Candidates alone have estimates.
    assert np.isnan(grown.memorization[20:]).all()
    assert np.isfinite(grown.memorization[:20]).any()
    found = summarize(grown, grown.pairs(), 0.25)
    assert found.always_in == 41 and found.never_in == np.sum(~masks.any(axis=0))
    assert found.all_pairs == 9 * np.isfinite(grown.memorization).sum()
    total = jaxmem.valuation.total_influence(grown)
    assert np.isnan(total.of_train[20:]).all() and not total.relative
    assert np.isfinite(total.on_test).all()


def test_until_a_standard_error_of_candidates(tiny, tiny_recipe, tmp_path, monkeypatch):
    """Rows that are always in have none, and keep no run from its goal."""
    monkeypatch.setattr(planning, "make_plan", lambda *_: Plan(4, 1, 1))
    monkeypatch.setattr(planning, "TIMED", {})
    masks = np.random.default_rng(0).random((100, 61)) < 0.5
    masks[:, 20:] = True
    flags = {**tiny_recipe, "masks": masks, "until_se": 0.2, "se_of": "all"}
    run = jaxmem.run_trials(tiny, workdir=tmp_path, **flags)
    errors = run.memorization_se[:20]
    assert 8 < run.trials.size < 100
    assert np.quantile(errors, 0.5, method="higher") <= 0.2
    everything = {**flags, "masks": np.ones((2, 61), bool)}
    with pytest.raises(InputError, match="include every example always or never"):
        jaxmem.run_trials(tiny, workdir=tmp_path / "new", **everything)
    assert not (tmp_path / "new" / "config.json").exists()


def test_balanced_sampling(tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(tiny, 9, tmp_path / "a", sampling="balanced", **tiny_recipe)
    topped = jaxmem.run_trials(tiny, 21, tmp_path / "a", sampling="balanced", **tiny_recipe)
    whole = jaxmem.run_trials(tiny, 21, tmp_path / "b", sampling="balanced", **tiny_recipe)
    assert_same(topped, whole)
    for included in (run.included, whole.included):
        times = included.sum(axis=0)
        assert times.max() - times.min() == 1
    with pytest.raises(InputError, match=r"sampling .balanced there, uniform here."):
        jaxmem.run_trials(tiny, 21, tmp_path / "b", **tiny_recipe)
    with pytest.raises(InputError, match="unknown sampling 'stratified'"):
        jaxmem.run_trials(tiny, 4, sampling="stratified", **tiny_recipe)
    with pytest.raises(InputError, match="ends at 238,609,287 trials"):
        jaxmem.run_trials(tiny, 10**9, sampling="balanced", **tiny_recipe)
    with pytest.raises(InputError, match="give either masks or sampling 'balanced'"):
        masks = np.ones((2, 61), bool)
        jaxmem.run_trials(tiny, masks=masks, sampling="balanced", **tiny_recipe)
