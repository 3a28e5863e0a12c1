"""What tests of runs share."""

import numpy as np

from jaxmem.training.inputs import Scaling

# The tree of a kept model of the tiny recipe.
LIKE = {
    "params": {
        f"Dense_{k}": {"kernel": np.zeros((a, b), "f"), "bias": np.zeros(b, "f")}
        for k, (a, b) in enumerate([(16, 5), (5, 3)])
    },
    "model_state": {},
    "scaling": Scaling(*np.zeros((2, 1, 1, 1), "f")),
}

SCALARS = ("train_accuracy", "test_accuracy", "final_loss")


def assert_same(run, other):
    """Bit for bit."""
    np.testing.assert_array_equal(run.trials, other.trials)
    for name in ("included", "train_correct", "test_correct", *SCALARS):
        np.testing.assert_array_equal(getattr(run, name), getattr(other, name))
    np.testing.assert_array_equal(run.memorization, other.memorization)
