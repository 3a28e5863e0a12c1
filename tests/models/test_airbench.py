"""What is airbench's own: its whitening, its first kernels, its fast biases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmem
from jaxmem.models.airbench import partly_identity, whitening
from jaxmem.models.layers import BatchNorm


def test_whitening_makes_patches_of_real_images_white(shared):
    """Of CIFAR-100's: components of about unit variance, and hardly correlated."""
    images = jaxmem.load_dataset("cifar100", shared / "tfds").test.images[:500]
    x = images.astype(np.float32)
    x = (x - x.mean((0, 1, 2))) / x.std((0, 1, 2))
    corners = [x[:, i : 31 + i, j : 31 + j] for i in (0, 1) for j in (0, 1)]
    patches = np.stack(corners, axis=-2).reshape(-1, 12)
    kernel = whitening(3)
    assert kernel.shape == (2, 2, 3, 24)
    np.testing.assert_array_equal(kernel[..., 12:], -kernel[..., :12])
    white = patches @ kernel[..., :12].reshape(12, 12)
    assert np.all((white.std(axis=0) > 0.5) & (white.std(axis=0) < 1.5))
    correlation = np.corrcoef(white.T) - np.eye(12)
    assert np.abs(correlation).max() < 0.5
    assert np.abs(np.corrcoef(patches.T) - np.eye(12)).max() > 0.9


@pytest.mark.parametrize("channels, filters", [(4, 6), (6, 4)])
def test_first_kernels_pass_channels_on(channels, filters):
    kernel = partly_identity(jax.random.key(0), (3, 3, channels, filters))
    x = np.random.default_rng(0).normal(size=(2, 5, 5, channels)).astype(np.float32)
    dimensions = ("NHWC", "HWIO", "NHWC")
    out = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=dimensions
    )
    count = min(channels, filters)
    np.testing.assert_allclose(out[..., :count], x[..., :count], rtol=1e-6)
    rest = np.asarray(kernel[..., count:])
    assert rest.size == 0 or 0.5 < np.abs(rest).max() * np.sqrt(9 * channels) <= 1


def test_biases_learn_as_many_times_as_fast():
    x = np.random.default_rng(0).normal(size=(8, 3, 3, 2)).astype(np.float32)

    def after_a_step(rate):
        norm = BatchNorm(bias_rate=rate)
        variables = norm.init(jax.random.key(0), x, None)

        def loss(params):
            state = {"params": params, "batch_stats": variables["batch_stats"]}
            out, _ = norm.apply(state, x, jnp.ones(8), mutable=["batch_stats"])
            return jnp.sum(out**3)

        params = variables["params"]
        new = jax.tree.map(lambda p, g: p - 1e-3 * g, params, jax.grad(loss)(params))
        variables = {"params": new, "batch_stats": variables["batch_stats"]}
        return norm.apply(variables, jnp.zeros_like(x), None)[0, 0, 0]

    slow, fast = (after_a_step(rate) for rate in (1.0, 64.0))
    np.testing.assert_allclose(fast, 64 * slow, rtol=1e-4)
