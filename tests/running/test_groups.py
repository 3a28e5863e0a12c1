"""Runs by groups: what is in or out together."""

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.data.dataset import Examples
from jaxmem.estimates.counts import rate_difference
from jaxmem.estimates.grouping import row_counts


def twice(data):
    """Each training row a second time."""
    train = Examples(*(np.concatenate([a, a]) for a in data.train))
    return data._replace(train=train)


@pytest.fixture(scope="module")
def rule():
    return {"epochs": 12, "hidden": (5,), "width": 1, "weight_decay": 0.0}


def test_by_groups_doubled_rows_have_the_mem_of_single_ones(tiny, rule, tmp_path):
    """Steps on a whole subset are those on each of its rows twice, but for rounding."""
    one = jaxmem.run_trials(tiny, 40, tmp_path / "one", batch_size=43, **rule)
    both = jaxmem.run_trials(
        *(twice(tiny), 40, tmp_path / "two"), groups="duplicates", batch_size=86, **rule
    )
    np.testing.assert_array_equal(both.included, np.tile(one.included, 2))
    np.testing.assert_allclose(both.final_loss, one.final_loss, rtol=1e-4)
    assert np.abs(one.memorization).max() > 0.3
    np.testing.assert_allclose(both.memorization, np.tile(one.memorization, 2), atol=1e-12)
    np.testing.assert_allclose(both.memorization_se[:61], one.memorization_se)
    alone, grouped = one.pairs(0.1, 0.1), both.pairs(0.1, 0.1)
    assert alone.infl.size
    for a, b in zip(alone, grouped, strict=True):
        np.testing.assert_allclose(a, b)
    assert both.discovery_p() == one.discovery_p()
    best, found = (run.search(0.1, 3) for run in (one, both))
    np.testing.assert_array_equal(np.tile(best.of_train.index.T, 2).T, found.of_train.index)
    np.testing.assert_array_equal(best.of_test.index, found.of_test.index)
    total, doubled = map(jaxmem.valuation.total_influence, (one, both))
    np.testing.assert_allclose(np.tile(total.of_train, 2), doubled.of_train)
    np.testing.assert_allclose(total.on_test, doubled.on_test)
    assert both.scores()["group"].to_pylist() == np.tile(tiny.train.names, 2).tolist()


@pytest.mark.parametrize("batching", ["packed", "masked"])
def test_uneven_groups(tiny, tiny_recipe, tmp_path, batching):
    groups = np.array(["a", "b", "c", "d", "e", "f", "g"])[np.arange(61) % 13 // 2]
    flags = {**tiny_recipe, "groups": groups, "batching": batching, "subset_fraction": 0.6}
    run = jaxmem.run_trials(tiny, 12, tmp_path / "a", probabilities=True, **flags)
    inside = np.stack([run.included[:, groups == g].mean(axis=1) for g in "abcdefg"])
    assert ((inside == 0) | (inside == 1)).all() and (inside.sum(axis=0) == 4).all()
    assert np.unique(run.included.sum(axis=1)).size > 1  # sizes vary
    # (seed, trial) decides all: any comes out alike, wherever images are, in any company.
    flags["placement"] = "host"
    part = jaxmem.run_trials(tiny, 5, tmp_path / "b", probabilities=True, **flags)
    np.testing.assert_array_equal(part.final_loss, run.final_loss[:5])
    np.testing.assert_array_equal(part.included, run.included[:5])
    held_out = run.reader.read("held_out_probability", run.trials)
    np.testing.assert_array_equal(
        np.isfinite(held_out[:, :, 0]).sum(axis=1), (~run.included).sum(axis=1)
    )
    # A group's mem is the mean of its rows' differences (naive reference).
    rows = rate_difference(row_counts(run))
    for row in range(61):
        mine, saw = groups == groups[row], run.included[:, row]
        own = [run.train_correct[s][:, mine].mean() for s in (saw, ~saw)]
        assert run.memorization[row] == pytest.approx(own[0] - own[1], nan_ok=True)
        assert run.memorization[row] == pytest.approx(rows[mine].mean(), nan_ok=True)
    assert set(run.pairs(0.0, -1).tr_idx) <= set(np.unique(groups, return_index=True)[1])
    opened = jaxmem.open_run(tmp_path / "a")
    np.testing.assert_array_equal(opened.tr_groups, groups)
    with pytest.raises(InputError, match=r"holds another run: groups \("):
        jaxmem.run_trials(
            *(tiny, 12, tmp_path / "a"),
            **{**flags, "groups": groups[::-1]},
            probabilities=True,
        )


def test_masks_by_groups(tiny, tiny_recipe, tmp_path):
    masks = np.repeat(np.random.default_rng(0).random((6, 31)) < 0.6, 2, axis=1)[:, :61]
    groups = np.arange(61) // 2
    run = jaxmem.run_trials(
        tiny, workdir=tmp_path, masks=masks, groups=groups, **tiny_recipe
    )
    np.testing.assert_array_equal(run.included, masks)
    assert run.memorization[0] == pytest.approx(run.memorization[1], nan_ok=True)
    masks[2, 7] ^= True
    with pytest.raises(InputError, match="row 2 of the masks parts group 3: example 7"):
        jaxmem.run_trials(tiny, masks=masks, groups=groups, **tiny_recipe)


@pytest.mark.parametrize(
    "groups, said",
    [
        (np.arange(60), r"groups have shape \[60\]; expected \[61\]"),
        (np.arange(122).reshape(61, 2), r"groups have shape \[61, 2\]"),
        (
            np.array(["a", ""] + ["b"] * 59),
            "groups lack those of 1 of 61 rows, the first in",
        ),
        (np.array([None] + ["b"] * 60, object), "groups lack those of 1 of 61 rows"),
        (np.arange(61) / 2, "groups are float64; expected whole numbers or text"),
        (
            np.arange(61) < 30,
            "group False has 31 of the 61 training examples, more than the",
        ),
        (np.zeros(61, int), "group 0 has 61 of the 61 training examples, more than the 18"),
        ("patient", "unknown groups 'patient'; give duplicates, near-duplicates, or"),
        ("none.npy", "none.npy does not exist"),
    ],
)
def test_groups_that_cannot_be(tiny, tiny_recipe, groups, said):
    with pytest.raises(InputError, match=said):
        jaxmem.run_trials(tiny, 4, groups=groups, **tiny_recipe)
