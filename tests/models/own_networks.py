"""Networks as people write them, in three libraries; tests load this file by its path."""

import flax.linen as nn
import jax
from flax import nnx

try:
    import equinox as eqx
except ImportError:
    eqx = None


class Plain(nn.Module):
    num_classes: int
    width: int = 4

    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(self.width, (3, 3))(x)), (2, 2), (2, 2))
        return nn.Dense(self.num_classes)(x.reshape((x.shape[0], -1)))


class Usual(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train):
        x = nn.Conv(4, (3, 3), strides=2)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.Dropout(0.3, deterministic=not train)(x.reshape((x.shape[0], -1)))
        return nn.Dense(self.num_classes)(x)


class Deterministic(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, *, deterministic=True):
        x = nn.LayerNorm()(nn.Dense(8)(x.reshape((x.shape[0], -1))))
        return nn.Dense(self.num_classes)(nn.Dropout(0.3)(x, deterministic=deterministic))


class Modern(nnx.Module):
    def __init__(self, num_classes, *, rngs):
        self.conv = nnx.Conv(1, 4, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.3, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(64, num_classes, rngs=rngs)])

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x)))
        return self.layers[0](self.drop(x.reshape((x.shape[0], -1))))


if eqx is not None:

    class Single(eqx.Module):
        conv: eqx.nn.Conv2d
        pool: eqx.nn.AvgPool2d
        drop: eqx.nn.Dropout
        head: eqx.nn.Linear

        def __init__(self, num_classes, key):
            first, second = jax.random.split(key)
            self.conv = eqx.nn.Conv2d(1, 4, 3, padding=1, key=first)
            self.pool = eqx.nn.AvgPool2d(2, 2)
            self.drop = eqx.nn.Dropout(0.3)
            self.head = eqx.nn.Linear(64, num_classes, key=second)

        def __call__(self, x, *, key=None):  # [1, 8, 8]
            x = self.pool(jax.nn.relu(self.conv(x)))
            return self.head(self.drop(x.ravel(), key=key))

    class Stateful(eqx.Module):
        layer: eqx.nn.SpectralNorm

        def __init__(self, num_classes, key):
            first, second = jax.random.split(key)
            layer = eqx.nn.Linear(64, num_classes, key=first)
            self.layer = eqx.nn.SpectralNorm(layer, "weight", key=second)

        def __call__(self, x, state):
            return self.layer(x.ravel(), state)

    class Mixing(eqx.Module):
        norm: eqx.nn.BatchNorm

        def __init__(self, num_classes, key):
            self.norm = eqx.nn.BatchNorm(1, "batch", mode="batch")

        def __call__(self, x, state):
            return self.norm(x, state)


# What is refused.


class Asks(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, mask):
        return x


class Wide(nn.Module):
    num_classes: int
    width: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.width)(x.reshape((x.shape[0], -1)))


class Pools(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x):
        for _ in range(5):
            x = nn.max_pool(x, (2, 2), (2, 2))
        return nn.Dense(self.num_classes)(x.reshape((x.shape[0], -1)))


class Centres(nn.Module):
    num_classes: int
    when: str = "training"

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(self.num_classes)(x.reshape((x.shape[0], -1)))
        if train == (self.when == "training"):
            x = x - x.mean(0, keepdims=True)
        return x


class Sows(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x):
        self.sow("kept", "x", x)
        return nn.Dense(self.num_classes)(x.reshape((x.shape[0], -1)))


class Half(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x):
        x = x.reshape((x.shape[0], -1))
        return nn.Dense(self.num_classes, param_dtype="bfloat16")(x)


def fails(spec):
    return 1 // 0


def own_rngs(spec):
    return nnx.Linear(64, spec.num_classes, rngs=nnx.Rngs(0))


def three(spec):
    return 3


number = 4
