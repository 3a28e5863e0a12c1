"""What held-out models say of an example, against a loop over trials."""

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.estimates import predictions
from jaxmem.estimates.predictions import held_out_prediction


class Stored:
    """Outcomes in memory."""

    def __init__(self, included, offset):
        self.rows = {"included": np.packbits(included, axis=1), "train_predicted": offset}

    def read(self, name, trials):
        return self.rows[name][trials]


def naive(included, offset, labels, classes):
    label, share = [], []
    for i, own in enumerate(labels):
        said = [(own + o) % classes for o in offset[~included[:, i], i]]
        votes = [said.count((own + k) % classes) for k in range(classes)]
        best = votes.index(max(votes))
        label.append((own + best) % classes)
        share.append(votes[best] / len(said) if said else np.nan)
    return np.array(label), np.array(share)


@pytest.mark.parametrize("n, trials, classes", [(61, 40, 3), (8, 150, 10), (5, 1, 300)])
def test_votes_are_those_of_the_loop(n, trials, classes, monkeypatch):
    monkeypatch.setattr(predictions, "COUNTS", 16 * classes)  # several parts
    rng = np.random.default_rng(0)
    included = rng.random((trials, n)) < 0.6
    included[:, 2] = True
    offset = rng.integers(0, classes, (trials, n)).astype(np.uint16)
    labels = rng.integers(0, classes, n)
    found = held_out_prediction(
        Stored(included, offset), np.arange(trials), labels, classes
    )
    label, share = naive(included, offset, labels, classes)
    np.testing.assert_array_equal(found.label, label)
    np.testing.assert_array_equal(found.share, share)


def test_stored_classes_agree_with_the_bits(tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(tiny, 12, tmp_path, keep_models=True, **tiny_recipe)
    for side, correct in (("train", run.train_correct), ("test", run.test_correct)):
        stored = run.reader.read(f"{side}_predicted", run.trials)
        assert stored.dtype == np.uint8 and stored.max() < 3
        np.testing.assert_array_equal(stored == 0, correct)
    # The share of the label is the held-out accuracy wherever the label leads.
    found = run.held_out_prediction()
    scores = run.scores().to_pydict()
    lead = found.label == run.tr_labels
    accuracy = np.array(scores["held_out_accuracy"])
    assert lead.any()
    np.testing.assert_allclose(found.share[lead], accuracy[lead])
    assert scores["held_out_label"] == found.label.tolist()


def test_adopted_trials_name_no_classes(tmp_path):
    rng = np.random.default_rng(0)
    masks, train, test = (rng.random((20, size)) < 0.6 for size in (30, 30, 10))
    run = jaxmem.adopt_trials(tmp_path / "theirs", masks, train, test)
    with pytest.raises(InputError, match="name no classes"):
        run.held_out_prediction()
    assert "held_out_label" not in run.scores().column_names
