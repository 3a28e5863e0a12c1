import io

import numpy as np
import pytest
from PIL import Image

from jaxmem.data.decoding import Coloured, Unreadable, decode, size_of

rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (6, 4, 3), np.uint8)


def encoded(image, form="PNG", **more) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **more)
    return file.getvalue()


def smooth(height, width):
    """A picture without noise, for what scaling must not change."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 120 * np.sin(y / 17), 127 + 120 * np.cos(x / 23), (x + y) / 5 % 256]
    return Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))


def test_pixels_are_those_of_the_file(tmp_path):
    image = Image.fromarray(PIXELS)
    image.save(tmp_path / "a.png")
    for given in (tmp_path / "a.png", encoded(image), image):
        np.testing.assert_array_equal(decode(given, None, None), PIXELS)
        assert size_of(given) == (6, 4)
    np.testing.assert_array_equal(decode(encoded(image, "WEBP", lossless=True), 4, 3),
                                  decode(image, 4, 3))  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_as_exif_says(orientation):
    """The file holds the picture as the camera lay; each loader must turn it back."""
    stored = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p),
        7: lambda p: np.rot90(p.swapaxes(0, 1), 2),
        8: lambda p: np.rot90(p, -1),
    }[orientation](PIXELS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(decode(file, None, None), PIXELS)
    assert size_of(file) == (6, 4)


def test_every_mode_becomes_rgb_or_grey():
    rgb = Image.fromarray(PIXELS)
    np.testing.assert_array_equal(decode(rgb.convert("CMYK"), None, None), PIXELS)
    np.testing.assert_array_equal(decode(encoded(rgb.convert("RGBA")), None, None), PIXELS)
    palette = rgb.quantize(24, dither=Image.Dither.NONE)
    np.testing.assert_array_equal(
        decode(encoded(palette), None, None), np.asarray(palette.convert("RGB"))
    )
    palette.info["transparency"] = bytes(24)  # all of it: the colours are still there
    assert decode(encoded(palette, transparency=bytes(24)), None, None).shape == (6, 4, 3)
    grey = Image.fromarray(PIXELS[:, :, 0])
    for image in (grey, grey.convert("LA")):
        np.testing.assert_array_equal(decode(encoded(image), None, None), PIXELS[..., :1])
        np.testing.assert_array_equal(
            decode(encoded(image), None, 3), PIXELS[..., :1].repeat(3, axis=2)
        )
    bits = encoded(grey.convert("1"))
    assert set(np.unique(decode(bits, None, None))) == {0, 255}
    with pytest.raises(Coloured):
        decode(rgb, None, channels=1)


def test_sixteen_bits_of_grey_are_cut_to_eight():
    deep = PIXELS[:, :, 0].astype(np.uint16) * 256 + 77
    np.testing.assert_array_equal(
        decode(encoded(Image.fromarray(deep)), None, None), PIXELS[..., :1]
    )
    with pytest.raises(Unreadable, match=r"floating point; save such data as .npy"):
        decode(Image.fromarray(deep.astype(np.float32)), None, None)
    with pytest.raises(Unreadable, match="more than 16 bits"):
        decode(Image.fromarray(deep.astype(np.int32) * 999), None, None)


@pytest.mark.parametrize("height, width", [(256, 320), (320, 256), (128, 512), (90, 90)])
def test_shorter_side_then_centre_crop(height, width):
    """Against the two steps by themselves, of the whole image."""
    image, size = smooth(height, width), 64
    scale = size / min(height, width)
    whole = image.resize((round(width * scale), round(height * scale)), Image.BILINEAR)
    left, top = (whole.width - size) // 2, (whole.height - size) // 2
    expected = np.asarray(whole.crop((left, top, left + size, top + size)), int)
    assert np.abs(decode(image, size, 3) - expected).max() <= 3
    jpeg = decode(encoded(image, "JPEG", quality=95), size, 3)  # by halves and quarters
    assert np.abs(jpeg - expected).mean() < 3


def test_what_has_the_size_keeps_its_pixels():
    square = np.ascontiguousarray(PIXELS[:4])
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(square)), 4, 3), square)
    np.testing.assert_array_equal(decode(square, 4, 3), square)
    assert decode(square, 9, 3).shape == (9, 9, 3)  # also larger
    with pytest.raises(Unreadable, match=r"pixels float32 \[4, 4, 3\] cannot be scaled"):
        decode(square.astype(np.float32), 4, 3)


def test_what_is_no_image(tmp_path):
    with pytest.raises(Unreadable, match="no image that Pillow knows"):
        decode(b"hello", None, None)
    whole = encoded(smooth(50, 50), "JPEG")
    with pytest.raises(Unreadable, match=r"(?i)truncated"):
        decode(whole[: len(whole) // 2], None, None)
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "none.png", None, None)
    assert size_of(b"hello") is None
