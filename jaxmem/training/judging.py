"""How models are trained that judge labels: few epochs, each on half of the examples.

Models that fit every wrong label are the worse judges, so these train for some hundred
steps, regularised, on standardised inputs.
"""

import numpy as np

from jaxmem.training.hyperparameters import SMALL

STEPS = 300  # of a training, where the epochs allow it
EPOCHS = 4, 12  # at least, at most
MIDDLING = 10_000  # examples of a subset, from which on batches are of 128
SMALLEST = 4  # pixels a side of a picture that `cnn` takes


def judging_model(shape: tuple[int, ...]) -> str:
    """`cnn` for pictures, `mlp` for rows; shape: of one example, [H, W, C]."""
    return "cnn" if min(shape[:2]) >= SMALLEST else "mlp"


def judging_recipe(m: int) -> dict:
    """Fields of `Recipe` for subsets of m examples."""
    batch_size = min(m, 32 if m < SMALL else 64 if m < MIDDLING else 128)
    steps = -(-m // batch_size)
    return {
        "epochs": int(np.clip(round(STEPS / steps), *EPOCHS)),
        "batch_size": batch_size,
        "optimizer": "sgd",
        "learning_rate": 0.03,
        "momentum": 0.9,
        "schedule": "linear",
        "warmup": 0.0,
        "weight_decay": 1e-3,
        "label_smoothing": 0.0,
        "hidden": (128,),
        "standardize": True,
    }


def judging_masks(
    labels: np.ndarray, kept: np.ndarray, m: int, trials: int, seed: int
) -> np.ndarray:
    """Subsets of m of the kept examples: bool [T, N].

    Every kept example is left out equally often, to within one, and each class in about
    the same share: its examples are spread evenly over the order in which they are left
    out. labels: int [N]; kept: bool [N]. Depends on these arguments alone.
    """
    rows = np.flatnonzero(kept)
    rng = np.random.default_rng([seed, m, rows.size])
    times = np.zeros(rows.size, np.int64)
    masks = np.tile(kept, (trials, 1))
    for mask in masks:
        out = np.lexsort((_spread(labels[rows], rng), times))[: rows.size - m]
        mask[rows[out]] = False
        times[out] += 1
    return masks


def _spread(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places in [0, 1), float64 [R], at random but evenly within each class."""
    place = np.empty(labels.size)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        place[rows] = (np.arange(rows.size) + rng.random()) / rows.size
    return place
