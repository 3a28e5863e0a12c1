"""Windows that move over images: what convolutions and pools have in common.

B images, H x W their size, C channels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxmem._shared.devices import Array


class Geometry(NamedTuple):
    """All that is fixed when a convolution or pool is compiled."""

    size: tuple[int, ...]  # H, W of the input
    window: tuple[int, ...]  # height and width of the kernel
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]  # (low, high) of height and width

    @property
    def output(self) -> tuple[int, ...]:
        """Height and width of the result."""
        sides = zip(self.size, self.window, self.strides, self.padding, strict=True)
        return tuple((n + sum(pad) - w) // s + 1 for n, w, s, pad in sides)


def taps(g: Geometry, padded: Array) -> list[Any]:
    """What each place of the window sees: h·w views [B, H', W', C] of padded images."""
    (height, width), (down, right) = g.output, g.strides
    return [
        padded[:, i : i + (height - 1) * down + 1 : down]
        [:, :, j : j + (width - 1) * right + 1 : right]
        for i in range(g.window[0])
        for j in range(g.window[1])
    ]  # fmt: skip


def add_taps(g: Geometry, parts: Sequence[jax.Array]) -> jax.Array:
    """The transpose of padding and `taps`: parts summed where they came from."""
    zero = jnp.zeros((), parts[0].dtype)
    places = [(i, j) for i in range(g.window[0]) for j in range(g.window[1])]
    total = None
    for part, place in zip(parts, places, strict=True):
        # Negative padding cuts what had come from outside the images.
        config = [(0, 0, 0)]
        for side in range(2):
            low = place[side] - g.padding[side][0]
            spread = (g.output[side] - 1) * g.strides[side] + 1
            config.append((low, g.size[side] - low - spread, g.strides[side] - 1))
        part = lax.pad(part, zero, [*config, (0, 0, 0)])
        total = part if total is None else total + part
    assert total is not None  # a window has a place
    return total
