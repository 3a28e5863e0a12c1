import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmem.models import layers
from jaxmem.models.layers import BatchNorm, included_moments, max_pool, mean_pool


@pytest.mark.parametrize(
    "window, stride, padding", [(2, 2, (0, 0)), (3, 2, (1, 1)), (3, 1, (0, 2))]
)
@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_max_pool_is_laxs_in_value_and_gradient(
    window, stride, padding, size, platform, monkeypatch
):
    """With ties: as after a ReLU, most values are 0."""
    monkeypatch.setattr(layers, "by_platform", lambda *args, **ways: ways[platform](*args))
    x = jax.nn.relu(jax.random.normal(jax.random.key(0), (3, size, size, 4)))

    def reference(x):
        sides = ((0, 0), padding, padding, (0, 0))
        windows = (1, window, window, 1), (1, stride, stride, 1)
        return lax.reduce_window(x, -jnp.inf, lax.max, *windows, sides)

    out, back = jax.vjp(reference, x)
    grad = jax.random.normal(jax.random.key(1), out.shape)
    ours, ours_back = jax.vjp(lambda x: max_pool(x, window, stride, padding), x)
    np.testing.assert_array_equal(ours, out)
    np.testing.assert_allclose(ours_back(grad)[0], back(grad)[0], atol=1e-6)


@pytest.mark.parametrize("mean", [0, 3, 1e4])
def test_moments_in_one_pass_are_those_of_two(mean):
    """Also of what lies far from 0, where float32 squares would lose the variance."""
    rng = np.random.default_rng(0)
    x = rng.normal(mean, 2, (16, 8, 8, 5)).astype(np.float32)
    weights = (np.arange(16) % 3 > 0).astype(np.float32)
    exact = x[weights > 0].astype(np.float64)
    found = jax.jit(included_moments)(x, weights)
    np.testing.assert_allclose(found[0], exact.mean((0, 1, 2)), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(found[1], exact.var((0, 1, 2)), rtol=2e-5)


def test_mean_pool():
    x = np.arange(2 * 5 * 4 * 3, dtype=np.float32).reshape(2, 5, 4, 3)
    expected = x[:, :4].reshape(2, 2, 2, 2, 2, 3).mean((2, 4))
    np.testing.assert_allclose(mean_pool(x, 2), expected)


def test_batch_norm_is_of_the_included_alone():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (6, 4, 4, 5)).astype(np.float32)
    weights = np.array([1, 0, 1, 1, 0, 1], np.float32)
    layer = BatchNorm()
    variables = layer.init(jax.random.key(0), x, None)
    out, state = layer.apply(variables, x, weights, mutable=["batch_stats"])

    seen = x[weights == 1]
    mean, var = seen.mean((0, 1, 2)), seen.var((0, 1, 2))
    np.testing.assert_allclose(
        out[weights == 1], (seen - mean) / np.sqrt(var + 1e-5), atol=1e-5
    )
    running = state["batch_stats"]
    np.testing.assert_allclose(running["mean"], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(running["variance"], 0.9 + 0.1 * var, rtol=1e-5)

    # Evaluation uses the running statistics, and leaves them.
    variables = {**variables, **state}
    still = layer.apply(variables, x, None)
    expected = (x - 0.1 * mean) / np.sqrt(0.9 + 0.1 * var + 1e-5)
    np.testing.assert_allclose(still, expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_of_no_included_example_keeps_its_statistics():
    x = np.ones((3, 2, 2, 4), np.float32)
    layer = BatchNorm()
    variables = layer.init(jax.random.key(0), x, None)
    out, state = layer.apply(variables, x, np.zeros(3), mutable=["batch_stats"])
    assert np.isfinite(out).all()
    jax.tree.map(
        np.testing.assert_array_equal, state["batch_stats"], variables["batch_stats"]
    )
