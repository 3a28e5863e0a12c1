"""Copies of an image that a model is asked about besides the image itself.

Carlini et al. 2022 (arXiv 2112.03570) attack with the augmentations of training; these are
those of their code (tensorflow/privacy, research/mi_lira_2021, inference.py), where edges
are reflected too: there the mirror image alone by default.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxmem._shared.arguments import one_of
from jaxmem.errors import InputError

QUERIES = ("mirror", "shifts")
SHIFT = 1  # pixels up, down, left or right


def check_queries(queries: Sequence[str], shape: tuple[int, ...]) -> tuple[str, ...]:
    """The queries in the order of QUERIES, each once, for images of a shape [H, W, C].

    Raises InputError for unknown ones, and where images have no such copies.
    """
    if isinstance(queries, str):
        queries = queries.split(",")
    for name in queries:
        one_of("query", name, QUERIES)
    if queries and min(shape[:2]) <= SHIFT:
        h, w, _ = shape
        raise InputError(
            f"examples of {h} x {w} have no mirror images or shifts: give no --queries"
        )
    return tuple(name for name in QUERIES if name in queries)


def query_views(queries: Sequence[str]) -> np.ndarray:
    """Each copy's (mirrored, rows down, columns right): int32 [Q, 3], not the image itself.

    Mirror images are shifted as well.
    """
    sides = range(-SHIFT, SHIFT + 1) if "shifts" in queries else (0,)
    mirrored = (0, 1) if "mirror" in queries else (0,)
    views = [view for view in itertools.product(mirrored, sides, sides) if any(view)]
    return np.array(views, np.int32).reshape(-1, 3)


def queried(images: jax.Array, view: jax.Array) -> jax.Array:
    """The copies by one view, int32 [3], of images [R, H, W, C]; edges are reflected."""
    seen = jnp.where(view[0] > 0, images[:, :, ::-1], images)
    padded = jnp.pad(seen, ((0, 0), *[(SHIFT, SHIFT)] * 2, (0, 0)), mode="reflect")
    start = (0, SHIFT - view[1], SHIFT - view[2], 0)
    return jax.lax.dynamic_slice(padded, start, images.shape)
