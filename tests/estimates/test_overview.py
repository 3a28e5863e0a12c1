"""What a report shows, against counts made by hand."""

import numpy as np
import pytest

import jaxmem
from jaxmem.estimates.bits import Bits, Words
from jaxmem.estimates.links import pair_counts
from jaxmem.estimates.overview import count_memorized, mean_interval, overview
from jaxmem.estimates.predictions import held_out_votes
from jaxmem.estimates.search.pairs_above import TooManyPairs
from jaxmem.estimates.statistics import interval, p_value


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    few = jaxmem.make_dataset(
        "few",
        *(digits.train.images[:120], digits.train.labels[:120]),
        *(digits.test.images[:60], digits.test.labels[:60]),
    )
    folder = tmp_path_factory.mktemp("few")
    options = {"width": 1, "epochs": 4, "hidden": (8,), "margins": True}
    return jaxmem.run_trials(few, 40, folder, **options)


def test_counts_of_pairs():
    rng = np.random.default_rng(0)
    included, correct = rng.random((90, 30)) < 0.7, rng.random((90, 20)) < 0.5
    tr, tt = rng.integers(0, 30, 50), rng.integers(0, 20, 50)
    words = Words.of(Bits.of(included)), Words.of(Bits.of(correct))
    counts = pair_counts(*words, tr, tt)
    inside, right = included[:, tr], correct[:, tt]
    np.testing.assert_array_equal(counts.hits_in, (inside & right).sum(axis=0))
    np.testing.assert_array_equal(counts.hits_out, (~inside & right).sum(axis=0))
    np.testing.assert_array_equal(counts.n_in, inside.sum(axis=0))
    np.testing.assert_array_equal(counts.n_out, (~inside).sum(axis=0))


@pytest.mark.parametrize("kind", ["helped", "harmed"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_links_are_the_extremes_that_stand_out(run, split, kind):
    links = getattr(getattr(overview(run, top=5), split), kind)
    infl, _ = run.influence_with_se(np.arange(120))
    everything = infl if split == "train" else infl.T
    words = tuple(map(Words.of, run.packed()))
    others = {"train": 60, "test": 120}[split]
    side = {"helped": "greater", "harmed": "less"}[kind]
    for line in range(0, len(everything), 7):
        known = links.index[line] >= 0
        shown = links.index[line][known]
        np.testing.assert_allclose(links.infl[line][known], everything[line][shown])

        def counts_of(others, line=line):
            pairs = [np.full(others.size, line), others]
            return pair_counts(*words, *(pairs if split == "train" else pairs[::-1]))

        counts = counts_of(shown)
        low, high = interval(counts)
        np.testing.assert_allclose(links.low[line][known], low)
        np.testing.assert_allclose(links.high[line][known], high)
        order = np.argsort(everything[line], kind="stable")
        five = order[-5:] if kind == "helped" else order[:5]
        # What is expected less than once among so many.
        far = p_value(counts_of(five), side) <= 1 / others
        expected = np.sort(everything[line][five[far]])
        np.testing.assert_allclose(np.sort(links.infl[line][known]), expected)
    assert (links.index >= 0).any() and (links.index < 0).any()
    assert np.isnan(links.infl[links.index < 0]).all()


def test_discoveries_are_those_of_the_run(run):
    shown = overview(run, infl=0.1, mem=0.2)
    assert shown.pairs_level == run.discovery_p()
    pairs = run.search(0.1).pairs  # of all classes
    memorized = pairs.mem >= 0.2
    assert memorized.any() and not memorized.all()
    for mine, other in zip(shown.pairs, pairs, strict=True):
        np.testing.assert_array_equal(mine, other[memorized])
    nothing = overview(run, mem=1).pairs
    assert nothing.infl.size == (run.pairs(mem=1).infl.size) < shown.pairs.infl.size


def test_votes_of_those_that_never_saw(run):
    named = (run.reader.read("train_predicted", run.trials) + run.tr_labels) % 10
    votes = held_out_votes(run.reader, run.trials, run.tr_labels, 10, 3)
    for row in range(0, 120, 11):
        out = named[~run.included[:, row], row]
        counts = np.sort(np.bincount(out, minlength=10))[::-1][:3]
        np.testing.assert_allclose(votes.share[row], counts / out.size)
        assert np.bincount(out, minlength=10)[votes.label[row, 0]] == counts[0]
    named = (run.reader.read("test_predicted", run.trials) + run.tt_labels) % 10
    votes = held_out_votes(run.reader, run.trials, run.tt_labels, 10, 2, "test")
    counts = np.bincount(named[:, 5], minlength=10)
    np.testing.assert_allclose(votes.share[5], np.sort(counts)[::-1][:2] / 40)


def test_suspects_are_contradicted_and_ranked_by_margin(run):
    shown = overview(run)
    said = run.held_out_prediction().label
    assert set(shown.suspects) == set(np.flatnonzero(said != run.tr_labels))
    assert (np.diff(shown.margin[shown.suspects]) >= 0).all()
    np.testing.assert_allclose(shown.test.accuracy, run.test_correct.mean(axis=0))


def test_how_sure_the_number_of_memorized_is(run):
    shown = overview(run)
    of, number, surely, perhaps = count_memorized(shown, 0.25)
    assert number == (run.memorization >= 0.25).sum()
    assert of == np.isfinite(run.memorization).sum()
    assert surely == (run.memorization_interval()[0] >= 0.25).sum() < number < perhaps


def test_interval_of_a_mean():
    values = np.array([0.9, 0.8, np.nan, 1.0])
    mean, low, high = mean_interval(values)
    assert mean == pytest.approx(0.9) and high - mean == pytest.approx(mean - low)
    assert high - mean == pytest.approx(1.96 * 0.1 / np.sqrt(3))
    assert np.isnan(mean_interval(np.array([np.nan]))).all()


def test_too_many_pairs_are_those_of_one_class(run, monkeypatch):
    from jaxmem.estimates import overview as module

    def full(*args, **kwargs):
        raise TooManyPairs("memory is full")

    monkeypatch.setattr(module, "strongest", full)
    shown = module.overview(run)
    assert shown.same_class_only
    np.testing.assert_array_equal(shown.pairs.infl, run.pairs().infl)
