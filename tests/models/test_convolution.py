import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxmem.models import convolution, patches
from jaxmem.models.convolution import conv

PADDINGS = ["SAME", "VALID", ((1, 1), (1, 1)), ((2, 0), (1, 3))]


@pytest.fixture(params=["cpu", "gpu", "gpu, many patches", "tpu"])
def backend(request, monkeypatch):
    """The ways of each platform, on this one."""

    def by_platform(*args, **ways):
        return ways[request.param[:3]](*args)

    monkeypatch.setattr(convolution, "by_platform", by_platform)
    if "many" in request.param:
        monkeypatch.setattr(convolution, "GPU_PATCH_BYTES", 0)
    convolution._convolution.cache_clear()
    yield request.param
    monkeypatch.undo()
    convolution._convolution.cache_clear()


def reference(images, kernel, strides, padding):
    return lax.conv_general_dilated(
        images, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def same(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        scale = np.abs(b).max()
        np.testing.assert_allclose(a / scale, b / scale, atol=3e-6)


@pytest.mark.parametrize("window", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_is_laxs_convolution_in_value_and_gradients(backend, window, stride):
    rng = np.random.default_rng(0)
    for size, padding in itertools.product([(8, 8), (9, 11)], PADDINGS):
        images = jnp.asarray(rng.normal(size=(6, *size, 3)), jnp.float32)
        kernel = jnp.asarray(rng.normal(size=(window, window, 3, 5)), jnp.float32)

        def values(f, images, kernel, padding=padding):
            out, back = jax.vjp(
                lambda x, w: f(x, w, (stride, stride), padding), images, kernel
            )
            return out, back(jnp.sin(jnp.arange(out.size)).reshape(out.shape))

        values = jax.jit(values, static_argnums=0)
        same(values(conv, images, kernel), values(reference, images, kernel))


@pytest.mark.parametrize("stride, padding", [(1, "SAME"), (2, ((2, 0), (1, 3)))])
@pytest.mark.parametrize("shared", [None, 0, 1])
def test_is_laxs_convolution_under_vmap(backend, shared, stride, padding):
    """Also where all models share the images (masked batching) or the kernel."""
    rng = np.random.default_rng(0)
    arrays = [
        jnp.asarray(rng.normal(size=(4, 6, 8, 8, 3)), jnp.float32),
        jnp.asarray(rng.normal(size=(4, 3, 3, 3, 5)), jnp.float32),
    ]
    axes = [0, 0]
    if shared is not None:
        axes[shared], arrays[shared] = None, arrays[shared][0]

    def gradients(f):
        def loss(images, kernel):
            return jnp.sum(jnp.sin(f(images, kernel, (stride, stride), padding)))

        return jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1)), axes))(*arrays)

    same(gradients(conv), gradients(reference))


@pytest.mark.parametrize("rows", [7, 12])
def test_kernel_gradient_a_few_images_at_a_time(monkeypatch, rows):
    monkeypatch.setattr(patches, "PATCH_BYTES", 3 * 64 * 27 * 4)
    convolution._convolution.cache_clear()
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=(rows, 8, 8, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 3, 3, 5)), jnp.float32)

    def gradient(f):
        return jax.jit(jax.grad(lambda w: jnp.sum(f(images, w, (1, 1), "SAME") ** 2)))

    program = gradient(conv)
    assert "while" in program.lower(kernel).as_text()
    same(program(kernel), gradient(reference)(kernel))


def test_no_convolution_in_a_loop_is_out_of_form():
    """What XLA runs inside a scan: only the form that its fast library takes, or products.

    `lax.conv`'s own gradients are not, and run about a hundred times slower there.
    """
    images, kernel = jnp.ones((4, 8, 8, 3)), jnp.ones((3, 3, 3, 3))

    def labels(f):
        def step(kernel, _):
            loss = lambda w, x: jnp.sum(f(f(x, w, (1, 1), "SAME"), w, (1, 1), "SAME") ** 2)  # noqa: E731
            return kernel - jax.grad(loss)(kernel, images), None

        scan = jax.jit(lambda kernel: lax.scan(step, kernel, length=3)[0])
        text = scan.lower(kernel).compile().as_text()
        return {
            word
            for line in text.splitlines()
            if " convolution(" in line
            for word in line.split()
            if word.startswith("dim_labels=")
        }

    form = {"dim_labels=b01f_01io->b01f", "dim_labels=b01f_01io->b01f,"}
    assert labels(conv) and labels(conv) <= form
    assert not labels(reference) <= form
