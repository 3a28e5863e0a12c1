"""Consistency, removal sets and detection against cases by hand and naive references."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import jaxmem
from jaxmem import InputError
from jaxmem.estimates.agreement import influence_agreement, memorization_agreement
from jaxmem.estimates.detection import detection
from jaxmem.training.subsets import removal_masks


@dataclasses.dataclass
class Estimates:
    """What the analysis asks of a Run."""

    memorization: np.ndarray
    tr_labels: np.ndarray
    infl: np.ndarray | None = None
    tt_labels: np.ndarray | None = None
    workdir: str = "here"
    tr_ids = tt_ids = np.array(["same"])

    def influence_with_se(self, rows, columns):
        return self.infl[np.ix_(rows, columns)], None


def test_mem_agreement_by_hand():
    labels = np.zeros(5, int)
    a = Estimates(np.array([0.9, 0.5, 0.1, 0.0, np.nan]), labels)
    b = Estimates(np.array([0.7, 0.2, 0.4, 0.0, 0.9]), labels)
    found = memorization_agreement(a, b, [0.3, 0.6, 0.8, 0.95])
    assert found.first.tolist() == [2, 1, 1, 0]
    assert found.second.tolist() == [2, 1, 0, 0]
    # At 0.3: {0, 1} and {0, 2}; differences 0.2, 0.3, 0.3 over the union.
    np.testing.assert_allclose(found.jaccard, [1 / 3, 1, 0, np.nan])
    np.testing.assert_allclose(found.distance, [0.8 / 3, 0.2, 0.2, np.nan])


def test_infl_agreement_by_hand():
    tr, tt = np.array([0, 0, 1]), np.array([0, 1])
    a = Estimates(
        np.array([0.9, 0.2, 0.9]), tr, np.array([[0.5, 9], [0.5, 9], [9, 0.1]]), tt
    )
    b = Estimates(
        np.array([0.9, 0.9, 0.9]), tr, np.array([[0.4, 9], [0.3, 9], [9, 0.2]]), tt
    )
    found = influence_agreement(a, b, [0.15, 0.45])
    # Pairs of one class: (0, 0), (1, 0), (2, 1); a does not memorize example 1.
    assert found.first.tolist() == [1, 1]
    assert found.second.tolist() == [3, 0]
    np.testing.assert_allclose(found.jaccard, [1 / 3, 0])
    np.testing.assert_allclose(found.distance, [(0.1 + 0.2 + 0.1) / 3, 0.1])


def test_agreement_of_real_runs_is_the_naive_one(tiny, tiny_recipe, tmp_path):
    a, b = (
        jaxmem.run_trials(tiny, 40, tmp_path / f"{seed}", seed=seed, **tiny_recipe)
        for seed in (0, 1)
    )
    threshold, least = 0.1, 0.05
    found = influence_agreement(a, b, [threshold], least)
    infl = [run.influence(np.arange(61)) for run in (a, b)]
    sets = [
        {
            (i, j)
            for i in range(61)
            for j in range(9)
            if run.memorization[i] >= least
            and values[i, j] >= threshold
            and run.tr_labels[i] == run.tt_labels[j]
        }
        for run, values in zip((a, b), infl, strict=True)
    ]
    both, either = sets[0] & sets[1], sets[0] | sets[1]
    assert len(both) and len(either) > len(both)
    np.testing.assert_allclose(found.jaccard, len(both) / len(either))
    distance = np.mean([abs(infl[0][pair] - infl[1][pair]) for pair in either])
    np.testing.assert_allclose(found.distance, distance)
    same = influence_agreement(a, a, [threshold], least)
    assert same.jaccard == 1 and same.distance == 0


def test_runs_on_other_data_cannot_agree(tiny, tiny_recipe, tmp_path):
    labels = (tiny.train.labels + 1) % 3
    other = tiny._replace(train=tiny.train._replace(labels=labels))
    a = jaxmem.run_trials(tiny, 4, tmp_path / "a", **tiny_recipe)
    b = jaxmem.run_trials(other, 4, tmp_path / "b", **tiny_recipe)
    with pytest.raises(InputError, match="runs on different data: their tr_labels differ"):
        memorization_agreement(a, b, [0.25])


def test_removal_sets():
    removed = np.arange(50) % 7 == 0
    chosen, random = removal_masks(removed, 20)
    assert chosen.shape == random.shape == (20, 50)
    np.testing.assert_array_equal(chosen, np.tile(~removed, (20, 1)))
    assert (random.sum(axis=1) == 50 - removed.sum()).all()
    assert np.unique(random, axis=0).shape[0] == 20
    # Repetitions are the same when there are more of them; seeds differ.
    np.testing.assert_array_equal(removal_masks(removed, 30).random[:20], random)
    assert (removal_masks(removed, 20, seed=1).random != random).any()
    # Every example is as likely to go.
    left = removal_masks(removed, 4000).random.mean(axis=0)
    np.testing.assert_allclose(left, 1 - removed.mean(), atol=0.03)
    assert removal_masks(np.zeros(5, bool), 2).random.all()
    with pytest.raises(InputError, match="all 5 examples would be removed"):
        removal_masks(np.ones(5, bool), 2)


def test_detection_is_scikit_learns():
    rng = np.random.default_rng(0)
    wanted = rng.random(200) < 0.2
    score = np.round(rng.normal(wanted.astype(float)), 1)  # with ties
    found = detection(score, wanted)
    np.testing.assert_allclose(found.auc, roc_auc_score(wanted, score))
    # Ties at the cut in expectation: the mean over random orders of tied examples.
    count, drawn = wanted.sum(), []
    for _ in range(2000):
        order = np.lexsort((rng.random(200), -score))
        drawn.append(wanted[order[:count]].mean())
    np.testing.assert_allclose(found.precision, np.mean(drawn), atol=0.005)
    assert detection(np.array([0.9, np.nan, 0.1]), np.array([True, False, False])) == (1, 1)
    with pytest.raises(InputError, match="0 of 3 examples are wanted"):
        detection(np.zeros(3), np.zeros(3, bool))
