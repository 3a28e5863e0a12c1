"""Encoded images as pixels: Pillow's, the right way up, at the size asked for."""

import contextlib
import io
import math

import numpy as np

GREY, DEEP = ("1", "L", "LA", "La"), ("I;16", "I;16B", "I;16L", "I;16N", "I")
GAP = 2.0  # how far Pillow may shrink by whole factors first: little loss, much faster


class Unreadable(Exception):
    """An image that Pillow cannot decode; says why."""


class Coloured(Exception):
    """An image in colour where all before it were grey."""


def decode(image, size: int | None, channels: int | None) -> np.ndarray:
    """Pixels uint8 [H, W, C] of a file, its content or PIL's image; arrays stay arrays.

    It is turned as its EXIF data say. channels: 3 is RGB, into which grey, palettes and
    CMYK are converted and of which an alpha channel is no part (as in torchvision's and
    TFDS's loaders); 1 is grey, 16 bits of it cut to 8; None is 1 for grey and else 3.
    size: the centre square is scaled to size x size, which is to scale the shorter side to
    it and to cut out the centre. What has that size already keeps its pixels.

    Raises Unreadable, Coloured for a coloured image where channels is 1, and the system's
    OSError where a file cannot be opened at all.
    """
    if isinstance(image, np.ndarray):
        return image if size is None else _pixels(_from_array(image), size, channels)
    try:
        with _opened(image) as opened:
            return _pixels(opened, size, channels)
    except (Unreadable, Coloured, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:  # of the disk, not of the image
            raise
        raise Unreadable(_reason(error)) from error
    except Exception as error:  # Pillow's decoders end in whatever they meet
        raise Unreadable(_reason(error)) from error


def size_of(image) -> tuple[int, int] | None:
    """Height and width as shown, from the header alone; None where it has none."""
    from PIL import ExifTags

    if isinstance(image, np.ndarray):
        return image.shape[:2]
    try:
        with _opened(image) as opened:
            (width, height), turned = opened.size, opened.getexif()
    except Exception:  # told when it is decoded
        return None
    on_its_side = turned.get(ExifTags.Base.Orientation, 1) >= 5
    return (width, height) if on_its_side else (height, width)


def _opened(image):
    """A context of PIL's image; one that the caller holds stays open."""
    from PIL import Image

    if hasattr(image, "getexif"):
        return contextlib.nullcontext(image)
    return Image.open(io.BytesIO(image) if isinstance(image, bytes) else image)


def _pixels(image, size: int | None, channels: int | None) -> np.ndarray:
    from PIL import ImageOps

    if size is not None:
        _draft(image, size)
    image.load()  # before anything is made of it: here a cut file shows
    image = ImageOps.exif_transpose(image)
    image = _converted(image, channels)
    if size is not None and image.size != (size, size):
        image = _centre(image, size)
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _draft(image, size: int) -> None:
    """Let a JPEG decode at a half, a quarter or an eighth that is still large enough."""
    scale = size / min(image.size)
    if scale < 1 and image.mode in ("L", "RGB"):
        image.draft(image.mode, tuple(math.ceil(side * scale) for side in image.size))


def _converted(image, channels: int | None):
    mode = image.mode
    if mode == "F":
        raise Unreadable("its pixels are floating point; save such data as .npy files")
    if mode in DEEP:
        image, mode = _eight_bits(image), "L"
    grey = mode in GREY
    if channels == 1 and not grey:
        raise Coloured
    wanted = "L" if grey and channels != 3 else "RGB"
    if mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns of the direct way
    return image if mode == wanted else image.convert(wanted)


def _eight_bits(image):
    """The upper 8 of 16 bits; Pillow's own conversion clips instead."""
    from PIL import Image

    deep = np.asarray(image)
    if deep.min() < 0 or deep.max() > 65535:
        raise Unreadable("its pixels have more than 16 bits; save such data as .npy files")
    return Image.fromarray((deep >> 8).astype(np.uint8))


def _centre(image, size: int):
    from PIL import Image

    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=GAP)


def _from_array(pixels: np.ndarray):
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise Unreadable(
            f"pixels {pixels.dtype} {list(pixels.shape)} cannot be scaled, only uint8 "
            "[H, W, 1] or [H, W, 3]"
        )
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _reason(error: Exception) -> str:
    text = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return "no image that Pillow knows" if "cannot identify" in text else text
