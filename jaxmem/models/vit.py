"""A small vision transformer, for 28 and 32 pixels: 138,890 parameters on MNIST."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxmem.models.contract import Model, Spec
from jaxmem.models.layers import Head
from jaxmem.models.linen import from_linen


class Block(nn.Module):
    """Attention, then two dense layers, each on normalised tokens [B, L, D] and added.

    drop_path: the chance that an example goes past one of the two in training (stochastic
    depth, Huang et al. 2016, arXiv 1603.09382).
    """

    heads: int
    dropout: float
    drop_path: float
    dtype: Any

    @nn.compact
    def __call__(self, x, training):
        def added(x, part):
            part = nn.Dropout(self.dropout, deterministic=not training)(part)
            if not training or not self.drop_path:
                return x + part
            keep = jax.random.bernoulli(
                self.make_rng("dropout"), 1 - self.drop_path, (x.shape[0], 1, 1)
            )
            return x + part * keep / jnp.asarray(1 - self.drop_path, part.dtype)

        normed = nn.LayerNorm(dtype=self.dtype)(x)
        x = added(x, nn.MultiHeadDotProductAttention(self.heads, self.dtype)(normed))
        wide = nn.Dense(2 * x.shape[-1], dtype=self.dtype)(
            nn.LayerNorm(dtype=self.dtype)(x)
        )
        return added(x, nn.Dense(x.shape[-1], dtype=self.dtype)(nn.gelu(wide)))


class ViT(nn.Module):
    """Dosovitskiy et al. 2021 (arXiv 2010.11929), with the mean of the tokens for the head.

    Sides that patches do not divide are padded with zeros. No layer mixes examples.
    """

    num_classes: int
    width: int = 64
    depth: int = 4
    heads: int = 4
    patch: int = 4
    dropout: float = 0.0
    drop_path: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, weights):
        training = weights is not None
        x = nn.Dense(self.width, dtype=self.dtype)(patches(images, self.patch))
        place = self.param("place", nn.initializers.normal(0.02), x.shape[1:])
        x = x + place.astype(self.dtype)[None]
        for _ in range(self.depth):
            x = Block(self.heads, self.dropout, self.drop_path, self.dtype)(x, training)
        x = nn.LayerNorm(dtype=self.dtype)(x)
        return Head(self.num_classes, dtype=self.dtype)(jnp.mean(x, axis=1))


def patches(images: jax.Array, side: int) -> jax.Array:
    """Square patches of images [B, H, W, C] as rows [B, L, side * side * C]."""
    short = [(0, -size % side) for size in images.shape[1:3]]
    images = jnp.pad(images, ((0, 0), *short, (0, 0)))
    b, h, w, c = images.shape
    rows = images.reshape(b, h // side, side, w // side, side, c)
    return rows.transpose(0, 1, 3, 2, 4, 5).reshape(b, -1, side * side * c)


def vit(
    spec: Spec,
    width: int = 64,
    depth: int = 4,
    heads: int = 4,
    patch: int = 4,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> Model:
    """The small vision transformer; its options are those of `--model-options`."""
    module = ViT(
        spec.num_classes, width, depth, heads, patch, dropout, drop_path, spec.dtype
    )
    return from_linen(module, random=bool(dropout or drop_path))
