"""What tests of runs share."""

import numpy as np

SCALARS = ("train_accuracy", "test_accuracy", "final_loss")


def assert_same(run, other):
    """Bit for bit."""
    np.testing.assert_array_equal(run.trials, other.trials)
    for name in ("included", "train_correct", "test_correct", *SCALARS):
        np.testing.assert_array_equal(getattr(run, name), getattr(other, name))
    np.testing.assert_array_equal(run.memorization, other.memorization)
