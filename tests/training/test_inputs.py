"""Inputs of any kind and scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.training.inputs import measure, to_float


def standardised(images, rows, axes):
    """In NumPy, float64."""
    seen = images[rows].astype(np.float64)
    std = seen.std(axis=axes, keepdims=True)
    centred = images - seen.mean(axis=axes, keepdims=True)
    return np.where(std > 0, centred / np.where(std > 0, std, 1), 0)


@pytest.mark.parametrize(
    "shape, axes",
    [((40, 1, 6, 1), 0), ((40, 5, 4, 3), (0, 1, 2)), ((40, 5, 4, 1), (0, 1, 2))],
)
@pytest.mark.parametrize("scale, offset", [(1, 0), (1e-20, 0), (1e30, 0), (1, 1e4)])
def test_mean_0_and_variance_1_of_what_is_seen(shape, axes, scale, offset, monkeypatch):
    monkeypatch.setattr(
        "jaxmem.training.inputs.PIECE_VALUES", 100
    )  # several pieces, the last overlaps
    rng = np.random.default_rng(0)
    images = (offset + scale * rng.normal(size=shape)).astype(np.float32)
    rows = rng.permutation(40)[:23]
    images[np.setdiff1d(np.arange(40), rows)[:3]] = np.nan  # not seen: no trace
    mask = np.isin(np.arange(40), rows)
    got = to_float(images, measure(images, mask, 23))
    expected = standardised(images, rows, axes)
    np.testing.assert_allclose(got[rows], expected[rows], atol=1e-3 if offset else 1e-5)


def test_constant_features_become_0():
    x = np.random.default_rng(0).normal(size=(9, 1, 3, 1)).astype(np.float32)
    x[:, 0, 1] = 0.1
    x[8, 0, 1] = 7  # not seen
    scaling = measure(x, np.arange(9) < 8, 8)
    assert not np.asarray(to_float(x, scaling))[:, 0, 1].any()
    nothing = measure(x, np.zeros(9, bool), jnp.int32(0))
    assert not np.asarray(to_float(x, nothing)).any()


@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.int8, np.uint16, np.int32, np.float32]
)
def test_whole_numbers_keep_their_meaning(dtype):
    values = np.array([0, 1, 1, 0]).astype(dtype)[:, None, None, None]
    divisor = 255 if dtype == np.uint8 else 1
    np.testing.assert_allclose(to_float(values, None)[:, 0, 0, 0] * divisor, [0, 1, 1, 0])
    got = to_float(values, measure(values, np.ones(4, bool), 4))
    np.testing.assert_allclose(got[:, 0, 0, 0], [-1, 1, 1, -1], rtol=1e-6)


@pytest.fixture(scope="module")
def scaled(digits, tmp_path_factory):
    """Runs on the same digits in four scales."""
    images = [split.images for split in (digits.train, digits.test)]

    def run(name, change):
        train, test = map(change, images)
        data = jaxmem.make_dataset(
            name, train, digits.train.labels, test, digits.test.labels
        )
        folder = tmp_path_factory.mktemp(name)
        return jaxmem.run_trials(
            data, 8, folder, epochs=10, hidden=(32,), width=1, keep_models=True
        )

    return {
        "float 0…1": run("unit", lambda x: x),
        "float 0…255": run("wide", lambda x: x * 255),
        "uint8 0…15": run("low", lambda x: (x * 15).round().astype(np.uint8)),
        "uint8 0…240": run("high", lambda x: (x * 15).round().astype(np.uint8) * 16),
    }


def test_scale_makes_no_difference(scaled):
    accuracy = {name: run.test_accuracy.mean() for name, run in scaled.items()}
    assert min(accuracy.values()) > 0.93
    assert np.ptp(list(accuracy.values())) < 0.01, accuracy
    assert scaled["uint8 0…15"].config.inputs == ("uint8", 0, 15)


def test_prediction_knows_the_kind_and_the_range(scaled, digits, capsys):
    run = scaled["float 0…1"]
    again = jaxmem.predict_trials(run.workdir, digits)
    np.testing.assert_array_equal(again.test_correct, run.test_correct)
    assert capsys.readouterr().err == ""

    def predict(change):
        images = change(digits.test.images)
        other = digits._replace(name="new", test=digits.test._replace(images=images))
        return jaxmem.predict_trials(run.workdir, other)

    predict(lambda x: x * 255)
    said = capsys.readouterr().err
    assert "new has inputs of kind float32 in 0 … 255, but the models were" in said
    with pytest.raises(InputError, match=r"give x_test.astype\('float32'\) \* \(1 / 240\)"):
        predict(lambda x: (x * 240).round().astype(np.uint8))
    trained_whole = scaled["uint8 0…15"]
    with pytest.raises(InputError, match=r"numpy.rint\(x_test \* \(15 / 1\)\)"):
        jaxmem.predict_trials(trained_whole.workdir, digits)


def test_kept_models_carry_the_statistics(scaled, digits):
    """Features of one trial, by hand."""
    run = scaled["float 0…1"]
    features = jaxmem.extract_features(run.workdir, digits, trial=3)
    assert features.train.images.shape == (1437, 1, 32, 1)
    seen = digits.train.images[run.included[3]]
    x = (digits.train.images - seen.mean()) / seen.std()
    from jaxmem.storage.checkpoints import KeptModels

    scaling = {"mean": 0, "factor": 0}
    like = {
        "params": {
            "Dense_0": {"kernel": np.zeros((64, 32), "f"), "bias": np.zeros(32, "f")},
            "Dense_1": {"kernel": np.zeros((32, 10), "f"), "bias": np.zeros(10, "f")},
        },
        "model_state": {},
        "scaling": jax.tree.map(lambda _: np.zeros((1, 1, 1), "f"), scaling),
    }
    from jaxmem.training.inputs import Scaling

    like["scaling"] = Scaling(**like["scaling"])
    for trials, block in KeptModels(run.workdir).blocks(like):
        if 3 in trials:
            layer = {
                k: v[trials.tolist().index(3)]
                for k, v in block["params"]["Dense_0"].items()
            }
    expected = np.maximum(x.reshape(1437, -1) @ layer["kernel"] + layer["bias"], 0)
    got = features.train.images.reshape(1437, -1)
    np.testing.assert_allclose(got, expected, atol=1e-4)
