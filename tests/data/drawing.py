"""Pictures for tests."""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def draw(name: str, height: int = 6, width: int = 5, channels: int = 3) -> Image.Image:
    """Noise that its name decides; grey where channels is 1."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    shape = (height, width, channels) if channels > 1 else (height, width)
    return Image.fromarray(rng.integers(0, 256, shape, np.uint8))


def write_classes(folder: Path, classes: dict[str, int], **size) -> None:
    """Class folders with so many pictures each: 0.png, 1.png, …"""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture = draw(f"{folder.name}/{name}/{number}", **size)
            picture.save(folder / name / f"{number}.png")
