"""Attacks against naive loops, and against the formulas of their authors' code."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.detection import detection
from jaxmem.estimates.membership import lira_scores, rmia_scores, threshold_scores
from jaxmem.estimates.privacy import exposure, membership_roc, true_positive_rate
from jaxmem.estimates.shadows import query_margins
from jaxmem.estimates.soft import soft_memorization

T, N, E = 25, 40, 30


def foreign(folder, trials=T, seed=0):
    """Trials whose margins are normal, higher and closer together for members."""
    rng = np.random.default_rng(seed)
    masks = rng.random((trials, N)) < 0.5
    level, spread = rng.normal(2, 2, N), rng.uniform(0.3, 2, N)
    margin = level + masks + rng.normal(size=masks.shape) * spread * (1 - masks / 2)
    test = rng.normal(2, 2, (trials, E))
    return jaxmem.adopt_trials(folder, masks, margin, test)


@pytest.fixture
def run(tmp_path):
    return foreign(tmp_path / "foreign")


def naive_lira(run, attack, variance):
    """Everything in a loop, of the definition."""
    margin, scores = run.train_margin.astype(np.float64), np.full((T, N), np.nan)
    others = [np.arange(T) != t for t in range(T)]
    for t in range(T):
        sides = [
            [margin[side[:, i] & others[t], i] for i in range(N)]
            for side in (run.included, ~run.included)
        ]
        wanted = sides if attack == "online" else sides[1:]
        squares = sum(((m - m.mean()) ** 2).sum() for side in wanted for m in side)
        pooled = np.sqrt(squares / sum(m.size - 1 for side in wanted for m in side))
        for i in range(N):
            inside, outside = (
                norm(np.median(side[i]), side[i].std() if variance else pooled)
                for side in sides
            )
            scores[t, i] = (
                inside.logpdf(margin[t, i]) - outside.logpdf(margin[t, i])
                if attack == "online"
                else -outside.logsf(margin[t, i])
            )
    return scores


@pytest.mark.parametrize("attack", ["online", "offline"])
@pytest.mark.parametrize("variance", ["fixed", "per-example"])
def test_lira_is_the_loop(run, attack, variance, monkeypatch):
    expected = naive_lira(run, attack, variance == "per-example")
    found = lira_scores(run, attack=attack, variance=variance)
    assert found.shape == (T, N) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    some = lira_scores(run, [7, 3], attack, variance, memory=4e-5)  # several blocks
    np.testing.assert_allclose(some, expected[[7, 3]], rtol=1e-5, atol=1e-5)
    if variance == "fixed":  # of fewer than 64 shadow models
        np.testing.assert_array_equal(lira_scores(run, attack=attack), found)


class Copies(NamedTuple):
    """A reader with margins of copies, float16 [T, Q, N], beside another's outcomes."""

    reader: Any
    margin: np.ndarray

    def read(self, name, trials):
        if name == "train_query_margin":
            return self.margin[trials]
        return self.reader.read(name, trials)


@pytest.fixture
def asked(run):
    """The run, with three copies whose margins go with those of the examples."""
    rng = np.random.default_rng(5)
    copies = run.train_margin[:, None] + rng.normal(0, 0.5, (T, 3, N))
    return dataclasses.replace(
        run,
        config=dataclasses.replace(run.config, queries=("mirror",)),
        reader=Copies(run.reader, copies.astype(np.float16)),
    )


def test_lira_of_copies_agrees_with_its_authors_code(asked):
    """There scores of queries are averaged; each has medians and deviations of its own."""
    margins = [asked.train_margin, *query_margins(asked).swapaxes(0, 1)]
    margins = [margin.astype(np.float64) for margin in margins]
    expected = np.mean([published_lira(asked.included, m, 7, False) for m in margins], 0)
    (found,) = lira_scores(asked, 7, variance="per-example", queries=True)
    np.testing.assert_allclose(found / 4, expected, rtol=1e-4, atol=1e-4)
    blocks = lira_scores(asked, 7, variance="per-example", queries=True, memory=3e-5)
    np.testing.assert_allclose(blocks[0], found, rtol=1e-5)
    # With one variance for all, it is that of all queries.
    (fixed,) = lira_scores(asked, 7, variance="fixed", queries=True)
    squares, freedom, between = 0.0, 0, 0.0
    others = np.arange(T) != 7
    for m in margins:
        for i in range(N):
            sides = [
                m[side[:, i] & others, i] for side in (asked.included, ~asked.included)
            ]
            squares += sum(((side - side.mean()) ** 2).sum() for side in sides)
            freedom += sum(side.size - 1 for side in sides)
            if i == 0:
                distances = [(m[7, i] - np.median(side)) ** 2 for side in sides]
                between += distances[1] - distances[0]
    np.testing.assert_allclose(fixed[0], between / 2 / (squares / freedom), rtol=1e-4)


def test_rmia_of_copies_is_a_majority_vote(asked):
    margins = [asked.train_margin, *query_margins(asked).swapaxes(0, 1)]
    known, t = expit(asked.test_margin.astype(np.float64)), 3
    others = np.arange(T) != t
    z = known[t] / known[others].mean(axis=0)
    (found,) = rmia_scores(asked, t, queries=True)
    for i in range(N):
        beats = np.zeros(E)
        for margin in margins:
            chance = expit(margin[:, i].astype(np.float64))
            sides = asked.included[:, i], ~asked.included[:, i]
            x = chance[t] / np.mean([chance[side & others].mean() for side in sides])
            beats += x >= z
        np.testing.assert_allclose(found[i], (beats > 2).mean(), atol=1e-6)


def test_the_threshold_of_copies_is_their_mean_margin(asked):
    both = asked.train_margin[4] + query_margins(asked)[4].sum(axis=0, dtype=np.float32)
    np.testing.assert_allclose(
        threshold_scores(asked, [4], queries=True)[0], both / 4, rtol=1e-5
    )


def published_lira(keep, margin, target, fixed):
    """tensorflow/privacy, research/mi_lira_2021: medians, `numpy.std`, two densities.

    Their fixed standard deviation is of all members' margins, about one mean, for both
    sides. The logarithm is written out.
    """
    shadows = np.arange(len(keep)) != target
    score = np.zeros(margin.shape[1])
    for sign, side in ((1, keep), (-1, ~keep)):
        of = [margin[side[:, i] & shadows, i] for i in range(margin.shape[1])]
        inside = [margin[keep[:, i] & shadows, i] for i in range(margin.shape[1])]
        every = np.std(np.concatenate(inside))
        std = np.array([every if fixed else np.std(m) for m in of])
        z = (margin[target] - [np.median(m) for m in of]) / std
        score += sign * (-(z**2) / 2 - np.log(std) - np.log(2 * np.pi) / 2)
    return score


def test_lira_agrees_with_its_authors_code(run):
    margin = run.train_margin.astype(np.float64)
    for target in (0, 11, 24):
        args = run.included, margin, target
        (found,) = lira_scores(run, target, variance="per-example")
        np.testing.assert_allclose(
            found, published_lira(*args, False), rtol=1e-4, atol=1e-4
        )
        # One variance for both sides: any other one is but another unit.
        (found,), theirs = (
            lira_scores(run, target, variance="fixed"),
            published_lira(*args, True),
        )
        np.testing.assert_allclose(
            found / found[0], theirs / theirs[0], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("trials", [30, 80])
def test_auto_is_by_the_number_of_shadow_models(tmp_path, trials):
    run = foreign(tmp_path / "auto", trials)
    expected = lira_scores(run, 0, variance="fixed" if trials < 64 else "per-example")
    np.testing.assert_array_equal(lira_scores(run, 0), expected)


def test_a_constant_side_takes_the_fixed_variance(tmp_path, capsys):
    rng = np.random.default_rng(0)
    masks = rng.random((T, N)) < 0.5
    margin = rng.normal(size=(T, N)) + 3
    margin[masks[:, 5], 5] = 7.1
    run = jaxmem.adopt_trials(tmp_path / "constant", masks, margin, rng.normal(size=(T, E)))
    capsys.readouterr()
    scores = lira_scores(run, variance="per-example")
    assert np.abs(scores).max() < 1e3
    assert "all margins are equal: 25 (1.2%)" in capsys.readouterr().err
    fixed = lira_scores(run, attack="offline", variance="per-example")
    assert np.isfinite(fixed).all() and not capsys.readouterr().err


@pytest.mark.parametrize("attack", ["online", "offline"])
def test_rmia_is_the_loop(run, attack):
    """The share of z with a ratio of ratios of at least gamma."""
    gamma, a = 1.3, 0.4
    chance, known = (
        expit(m.astype(np.float64)) for m in (run.train_margin, run.test_margin)
    )

    def marginal(inside, outside):
        if attack == "online":
            return (inside + outside) / 2
        return ((1 + a) * outside + 1 - a) / 2

    found = rmia_scores(run, attack=attack, gamma=gamma, a=a)
    for t in (0, 9):
        others = np.arange(T) != t
        z = known[others].mean(axis=0)
        z = known[t] / marginal(z, z)
        for i in range(N):
            inside = chance[run.included[:, i] & others, i].mean()
            outside = chance[~run.included[:, i] & others, i].mean()
            x = chance[t, i] / marginal(inside, outside)
            np.testing.assert_allclose(found[t, i], (x / z >= gamma).mean(), atol=1e-6)


def test_the_offline_attack_parts_what_is_far_out(tmp_path):
    """Margins that are 24 and 37 standard deviations up are no tie."""
    margin = np.tile([[0.25], [1.0]], (10, 3))
    margin[0] = 10, 15, 0.5
    masks = np.arange(20)[:, None] < [1, 1, 20]  # each trial sees something
    run = jaxmem.adopt_trials(tmp_path / "far", masks, margin, np.full((20, 2), 1.5))
    (scores,) = lira_scores(run, 0, "offline", "per-example")
    assert 100 < scores[0] < scores[1] < np.inf and np.isnan(scores[2])


def test_the_global_threshold_is_the_margin(run):
    np.testing.assert_array_equal(threshold_scores(run, [4]), run.train_margin[[4]])


def test_what_cannot_be_attacked(run, tiny, tiny_recipe, tmp_path):
    with pytest.raises(InputError, match="target row 25 is outside 0 … 24"):
        lira_scores(run, 25)
    with pytest.raises(InputError, match="unknown variance 'own'; known: auto, fixed"):
        lira_scores(run, variance="own")
    with pytest.raises(InputError, match="too little: margins and scores take"):
        lira_scores(run, memory=1e-6)
    for few, variance in ((4, "per-example"), (2, "fixed")):
        some = run.select(run.trials[:few])
        some.included[:] = np.arange(few)[:, None] % 2 == 0
        words = f"{few - 1} shadow models are too few for online LiRA with {variance}"
        with pytest.raises(InputError, match=words):
            lira_scores(some, variance=variance)
    alone = run.select(run.trials[:2])
    with pytest.raises(InputError, match="1 shadow models are too few for online RMIA"):
        rmia_scores(alone)
    with pytest.raises(InputError, match=r"gamma 0.5 must be at least 1"):
        rmia_scores(run, gamma=0.5)
    for attack in (threshold_scores, lira_scores, rmia_scores):
        with pytest.raises(InputError, match="stored no queries: run it with --queries="):
            attack(run, queries=True)
    plain = jaxmem.run_trials(tiny, 4, tmp_path / "plain", **tiny_recipe)
    for attack in (threshold_scores, lira_scores, rmia_scores):
        with pytest.raises(InputError, match="stored no margins: run it with --margins"):
            attack(plain)


def test_an_overfitted_network_gives_its_members_away(digits, tmp_path):
    """On digits with a tenth of wrong labels, members are found far above chance."""
    labels = digits.train.labels.copy()
    labels[::10] = (labels[::10] + 1) % 10
    noisy = digits._replace(train=digits.train._replace(labels=labels))
    run = jaxmem.run_trials(
        noisy, 60, tmp_path, margins=True, width=1, subset_fraction=0.5, epochs=40
    )
    wrong = np.zeros(labels.size, bool)
    wrong[::10] = True
    members = run.included
    for scores in (lira_scores(run), rmia_scores(run)):
        assert true_positive_rate(scores, members, 0.01) > 0.05
        assert true_positive_rate(scores[:, wrong], members[:, wrong], 0.01) > 0.5
        assert detection(exposure(scores, members), wrong).auc > 0.9
    auc = np.trapezoid(*membership_roc(threshold_scores(run), members)[::-1])
    assert 0.5 < auc < np.trapezoid(*membership_roc(lira_scores(run), members)[::-1])
    # Soft memorization finds the wrong labels, as the hard one does.
    soft = soft_memorization(run)
    assert detection(soft.value, wrong).auc > 0.95
    assert np.corrcoef(soft.value, run.memorization)[0, 1] > 0.85
