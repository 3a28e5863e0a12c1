"""Pictures as sheets of thumbnails, by which a page shows thousands of them."""

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

ACROSS = 32  # thumbnails a row of a sheet
SHEET = ACROSS**2  # thumbnails a sheet
GUTTER = 1  # pixels around each that repeat its edge, so that none shows in the next
PIXELS = 80e6  # of all thumbnails together, about
SIDES = 24, 160  # of a thumbnail: its least and its most, if the picture has as much
LOSSLESS = 64e6  # bytes of thumbnails, up to which they keep every value
QUALITY = 88  # of WebP, above that
SAMPLE = 500  # pictures that say how bright they are


class Thumbnails(NamedTuple):
    """How the pictures of a dataset become thumbnails."""

    height: int
    width: int
    low: float  # the value that is black
    high: float  # … and white
    channels: int  # 1 or 3
    inked: bool  # drawn light on dark, as digits are: better seen the other way on paper
    lossless: bool


def plan_thumbnails(train: np.ndarray, test_size: int) -> Thumbnails | None:
    """How [N, H, W, C] and as many pictures of test are shown; None: they are rows."""
    n, height, width, channels = train.shape
    if height == 1 and channels == 1:
        return None
    count = n + test_size
    longest = max(height, width)
    side = min(longest, int(np.clip(np.sqrt(PIXELS / count), *SIDES)))
    height, width = (max(1, round(x * side / longest)) for x in (height, width))
    sample = train[np.unique(np.linspace(0, n - 1, SAMPLE).astype(int))]
    low, high = (0, 255) if train.dtype == np.uint8 else (sample.min(), sample.max())
    shown = 3 if channels >= 3 else 1
    edges = np.concatenate([sample[:, [0, -1]].ravel(), sample[:, :, [0, -1]].ravel()])
    dark = bool(edges.mean() < low + 0.2 * (float(high) - float(low)))
    lossless = count * height * width * shown <= LOSSLESS
    return Thumbnails(
        height, width, float(low), float(high), shown, shown == 1 and dark, lossless
    )


def sheets(images: np.ndarray, plan: Thumbnails) -> Iterator[bytes]:
    """WebP pictures of SHEET thumbnails each, ACROSS a row, of images [R, H, W, C]."""
    for start in range(0, len(images), SHEET):
        cells = _cells(images[start : start + SHEET], plan)
        edges = (0, 0), (GUTTER, GUTTER), (GUTTER, GUTTER), (0, 0)
        cells = np.pad(cells, edges, "edge")
        lines = -(-len(cells) // ACROSS)
        sheet = np.zeros((lines * ACROSS, *cells.shape[1:]), np.uint8)
        sheet[: len(cells)] = cells
        h, w = cells.shape[1:3]
        sheet = sheet.reshape(lines, ACROSS, h, w, plan.channels).swapaxes(1, 2)
        sheet = sheet.reshape(lines * h, ACROSS * w, plan.channels)
        file = io.BytesIO()
        how = {"lossless": True} if plan.lossless else {"quality": QUALITY}
        picture = Image.fromarray(sheet[..., 0] if plan.channels == 1 else sheet)
        picture.save(file, "WEBP", method=2, **how)
        yield file.getvalue()


def _cells(images: np.ndarray, plan: Thumbnails) -> np.ndarray:
    """Pictures as uint8 [R, height, width, channels] of the plan."""
    images = np.asarray(images[..., : plan.channels])
    if images.dtype != np.uint8:
        span = plan.high - plan.low if plan.high > plan.low else 1
        scaled = (images.astype(np.float32) - plan.low) / span
        images = (scaled.clip(0, 1) * 255).round().astype(np.uint8)
    size = plan.width, plan.height
    if images.shape[1:3] == (plan.height, plan.width):
        return images
    shape = len(images), plan.height, plan.width, plan.channels
    cells = [
        np.asarray(
            Image.fromarray(image[..., 0] if plan.channels == 1 else image).resize(
                size, Image.Resampling.BOX
            )
        )
        for image in images
    ]
    return np.stack(cells).reshape(shape)
