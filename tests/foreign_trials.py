"""Trials as others bring them, for the tests of adopting."""

import numpy as np


def save(folder, **arrays):
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return {name: folder / f"{name}.npy" for name in arrays}


def other_trials(trials=20, n=61, e=9, seed=0):
    """Masks and outcomes of models that know what they saw, and half of the rest."""
    rng = np.random.default_rng(seed)
    masks = rng.random((trials, n)) < 0.7
    train = masks | (rng.random((trials, n)) < 0.5)
    return {"masks": masks, "train": train, "test": rng.random((trials, e)) < 0.6}


def as_margins(right, seed=0):
    return np.where(right, 1.0, -1.0) * np.random.default_rng(seed).uniform(
        0.1, 9, right.shape
    )


def with_value(array, value, place=(3, 2)):
    """As an array that can hold the value, with it at one place."""
    array = np.array(array, np.result_type(array, np.asarray(value)))
    array[place] = value
    return array


def append(arrays, **rows):
    """10 more rows of each array, False or what is given."""
    return {
        name: np.concatenate([a, np.full((10, a.shape[1]), rows.get(name, 0), a.dtype)])
        for name, a in arrays.items()
    }


OURS = other_trials()
MARGINS = {name: as_margins(OURS[name]) for name in ("train", "test")}
LABELS = {"tr_labels": np.zeros(61, int), "tt_labels": np.zeros(9, int)}
