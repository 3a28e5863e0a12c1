"""Every model of the registry keeps the contract."""

import jax
import numpy as np
import pytest

from jaxmem import MODELS, InputError
from jaxmem.models import count_parameters, make_model


@pytest.mark.parametrize("name", MODELS)
def test_contract(name):
    model = make_model(name, num_classes=3, hidden=(7,))
    images = jax.random.uniform(jax.random.key(1), (6, 4, 4, 2))
    params, state = model.init(jax.random.key(0), images[0])
    again, _ = model.init(jax.random.key(0), images[0])
    jax.tree.map(np.testing.assert_array_equal, params, again)

    logits, same = model.apply(params, state, images, None)
    assert logits.shape == (6, 3) and logits.dtype == np.float32
    assert jax.tree.structure(same) == jax.tree.structure(state)
    # Evaluation sees each example alone.
    alone, _ = model.apply(params, state, images[2:3], None)
    np.testing.assert_allclose(logits[2], alone[0], rtol=1e-5, atol=1e-6)

    trained, state = model.apply(params, state, images, np.ones(6, np.float32))
    assert trained.shape == (6, 3)
    assert jax.tree.structure(same) == jax.tree.structure(state)


def test_mlp_has_the_parameters_of_the_demo():
    model = make_model("mlp", num_classes=10, hidden=(512, 256))
    params, _ = model.init(jax.random.key(0), np.zeros((28, 28, 1), np.float32))
    sizes = sorted(leaf.shape for leaf in jax.tree.leaves(params))
    assert sizes == [(10,), (256,), (256, 10), (512,), (512, 256), (784, 512)]
    images = np.zeros((3, 28, 28, 1), np.uint8)
    assert count_parameters(model, images) == 784 * 512 + 512 * 256 + 256 * 10 + 778


def test_unknown_model_names_the_known_ones():
    with pytest.raises(InputError, match="unknown model 'mpl'; known: mlp"):
        make_model("mpl", 10, ())
