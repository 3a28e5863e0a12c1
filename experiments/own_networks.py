"""Networks as people write them, of images [B, H, W, C]: `benchmark_own_networks.py`."""

import flax.linen as nn
import jax.numpy as jnp


class TutorialCNN(nn.Module):
    """Two convolutions with max-pools and two dense layers, as in Flax's tutorials."""

    num_classes: int

    @nn.compact
    def __call__(self, x):
        """Logits [B, K]."""
        for features in (32, 64):
            x = nn.relu(nn.Conv(features, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.relu(nn.Dense(256)(x.reshape((x.shape[0], -1))))
        return nn.Dense(self.num_classes)(x)


class LeNet(nn.Module):
    """LeCun et al. 1998, with average pooling and tanh."""

    num_classes: int

    @nn.compact
    def __call__(self, x):
        """Logits [B, K]."""
        for features in (6, 16):
            x = nn.avg_pool(nn.tanh(nn.Conv(features, (5, 5))(x)), (2, 2), (2, 2))
        x = x.reshape((x.shape[0], -1))
        for width in (120, 84):
            x = nn.tanh(nn.Dense(width)(x))
        return nn.Dense(self.num_classes)(x)


class ResNet(nn.Module):
    """Three stages of a residual block with batch normalisation, as in Linen's example."""

    num_classes: int

    @nn.compact
    def __call__(self, x, train):
        """Logits [B, K]."""

        def normed(x):
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)

        x = nn.relu(normed(nn.Conv(16, (3, 3), use_bias=False)(x)))
        for stage, features in enumerate((16, 32, 64)):
            strides = (2, 2) if stage else (1, 1)
            y = nn.Conv(features, (3, 3), strides, use_bias=False)(x)
            y = nn.Conv(features, (3, 3), use_bias=False)(nn.relu(normed(y)))
            if x.shape != y.shape:
                x = normed(nn.Conv(features, (1, 1), strides, use_bias=False)(x))
            x = nn.relu(x + normed(y))
        return nn.Dense(self.num_classes)(jnp.mean(x, axis=(1, 2)))


class Mixer(nn.Module):
    """Tolstikhin et al. 2021 (arXiv 2105.01601): dense layers over places and channels."""

    num_classes: int

    @nn.compact
    def __call__(self, x):
        """Logits [B, K]."""

        def dense(x, width):
            return nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(width)(x)))

        x = nn.Conv(64, (2, 2), strides=2)(x)
        x = x.reshape((x.shape[0], -1, 64))
        for _ in range(4):
            y = nn.LayerNorm()(x).swapaxes(1, 2)
            x = x + dense(y, 32).swapaxes(1, 2)
            x = x + dense(nn.LayerNorm()(x), 128)
        return nn.Dense(self.num_classes)(jnp.mean(nn.LayerNorm()(x), axis=1))


class ViT(nn.Module):
    """Patches by a convolution, encoder blocks of Flax's attention, a class token."""

    num_classes: int

    @nn.compact
    def __call__(self, x):
        """Logits [B, K]."""
        x = nn.Conv(64, (2, 2), strides=2)(x)
        x = x.reshape((x.shape[0], -1, 64))
        token = self.param("token", nn.initializers.zeros, (1, 1, 64))
        x = jnp.concatenate([jnp.tile(token, (x.shape[0], 1, 1)), x], axis=1)
        x = x + self.param("place", nn.initializers.normal(0.02), (1, *x.shape[1:]))
        for _ in range(3):
            x = x + nn.MultiHeadDotProductAttention(4)(nn.LayerNorm()(x))
            y = nn.gelu(nn.Dense(128)(nn.LayerNorm()(x)))
            x = x + nn.Dense(64)(y)
        return nn.Dense(self.num_classes)(nn.LayerNorm()(x)[:, 0])
