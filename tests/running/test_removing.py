"""Retraining without what scores name."""

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError


def test_removing_what_helps_lowers_the_margin(tmp_path):
    """Test examples that only their twin in training explains lose it; others nothing."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 4, 4), np.uint8)
    labels = np.arange(40) % 2
    data = jaxmem.make_dataset("twins", images, labels, images[:4], labels[:4])
    recipe = {"epochs": 60, "batch_size": 8, "hidden": (32,), "width": 1}
    run = jaxmem.run_trials(data, 8, tmp_path / "run", margins=True, **recipe)
    twins = np.zeros((40, 4))
    twins[np.arange(4), np.arange(4)] = 1
    found = jaxmem.remove_top(data, run, twins, [0, 3], top=1, trainings=4)
    np.testing.assert_array_equal(found.test_rows, [0, 3])
    assert (found.drop > 3 * found.drop_se).all() and (found.correct_random == 1).all()
    # By hand, of the trials that it left.
    left = jaxmem.open_run(run.workdir / "removal-1")
    assert left.trials.size == 12 and not left.included[4:8, 3].any()
    assert (left.included.sum(axis=1) == 39).all()
    margin = left.test_margin[:, 3].astype(float)
    np.testing.assert_allclose(found.drop[1], margin[8:].mean() - margin[4:8].mean())
    np.testing.assert_array_equal(found.correct[1], left.test_correct[4:8, 3].mean())


def test_what_cannot_be_removed(tiny, tiny_recipe, tmp_path):
    run = jaxmem.run_trials(tiny, 2, tmp_path / "run", **tiny_recipe)
    scores = np.zeros((61, 9))
    for arguments, said in (
        ((scores.T, [0], 1), r"\[9, 61\]: expected \[61, 9\]"),
        ((scores * np.nan, [0], 1), "NaN or infinite"),
        ((scores, [9], 1), "test row 9 is outside 0 … 8"),
        ((scores, [0], 61), "top 61 leaves nothing of 61"),
        ((scores, [0], 0), "top 0 must be at least 1"),
    ):
        with pytest.raises(InputError, match=said):
            jaxmem.remove_top(tiny, run, *arguments)
