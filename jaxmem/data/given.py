"""What Python callers give beside arrays: frames, tensors, datasets of pairs, PIL images.

They are known by what they can do, so that none of their libraries is imported here.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxmem.data.arrays import as_array
from jaxmem.data.decoding import Unreadable, decode
from jaxmem.errors import InputError

IMAGES, LABELS = ("image", "img"), ("label", "labels", "target")  # of Hugging Face columns


class Given(NamedTuple):
    """One split: what NumPy makes arrays of."""

    x: Any
    y: Any
    names: np.ndarray | None  # str [R], where what was given has some
    class_names: tuple[str, ...] = ()
    columns: tuple = ()  # of a frame


def take_given(split: str, x, y) -> Given:
    """Images and labels of whatever kind, as something that NumPy makes arrays of.

    Raises InputError for what has no labels, images of several sizes, and columns of a
    frame that are no numbers, naming them.
    """
    key = f"x_{split}"
    class_names: tuple[str, ...] = ()
    if y is None:
        x, y, class_names = _take_pairs(split, x)
    if hasattr(y, "detach"):
        y = y.detach().cpu()
    if hasattr(x, "detach"):  # PyTorch's tensor, perhaps on a GPU, perhaps with gradients
        x = x.detach().cpu()
    elif hasattr(x, "columns") and hasattr(x, "__getitem__"):
        index = getattr(x, "index", range(len(x)))
        names = np.array([str(name) for name in index])
        return Given(_frame(key, x), y, names, class_names, tuple(x.columns))
    elif _is_pictures(x):
        x = _pictures(key, x)
    return Given(x, y, None, class_names)


def read_names(key: str, given, default: np.ndarray | None, rows: int) -> np.ndarray:
    """Names of examples, str [R]: those given, the default, or else row numbers."""
    if given is None:
        if default is not None and len(default) == rows:
            return default
        return np.array([str(row) for row in range(rows)])
    names = as_array(key, given)
    if names.shape != (rows,):
        raise InputError(
            f"{key} has shape {names.shape}; expected a name for each of {rows}"
        )
    return names if names.dtype.kind == "U" else names.astype(str)


def _frame(key: str, frame) -> np.ndarray:
    """A frame's columns [R, D]; raises InputError for one that holds no numbers."""
    columns = []
    for name in frame.columns:
        values = np.asarray(frame[name])
        if values.dtype.kind not in "iufb":
            raise InputError(
                f"{key} has column {name!r} of {getattr(frame[name], 'dtype', 'objects')}, "
                "not numbers; turn it into numbers, or leave it out"
            )
        # A table's bytes are numbers, not pixels.
        bytes_ = values.dtype in (bool, np.uint8)
        columns.append(values.astype(np.int16) if bytes_ else values)
    if not columns:
        raise InputError(f"{key} has no columns")
    return np.stack(columns, axis=1)


def _take_pairs(split: str, data) -> tuple[Any, Any, tuple[str, ...]]:
    """Images, labels and class names of a dataset that holds both."""
    if data is None or not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise InputError(
            f"y_{split} is missing; give labels, or as x_{split} a dataset of pairs"
        )
    if hasattr(data, "features") and hasattr(data, "column_names"):
        return _take_columns(split, data)
    try:
        pairs = [data[row] for row in range(len(data))]
        images, labels = zip(*((image, label) for image, label in pairs), strict=True)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(
            f"y_{split} is missing, and x_{split} is no dataset of pairs (image, label)"
        ) from error
    if hasattr(images[0], "detach"):
        images = tuple(_channels_last(image.detach().cpu()) for image in images)
    return list(images), [_plain(label) for label in labels], _classes(data)


def _take_columns(split: str, data) -> tuple[Any, Any, tuple[str, ...]]:
    """The image and label columns of a Hugging Face dataset, by their usual names."""
    keys = []
    for words, usual in (("images", IMAGES), ("labels", LABELS)):
        key = next((name for name in usual if name in data.column_names), None)
        if key is None:
            raise InputError(
                f"x_{split} has columns {', '.join(data.column_names)}, none of them "
                f"called {' or '.join(usual)}; give its columns of {words} as x_{split} "
                f"and y_{split}"
            )
        keys.append(key)
    names = getattr(data.features[keys[1]], "names", None) or ()
    return data[keys[0]], list(data[keys[1]]), tuple(names)


def _channels_last(image) -> np.ndarray:
    """PyTorch's [C, H, W] as [H, W, C]."""
    array = np.asarray(image)
    channels_first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
    return array.transpose(1, 2, 0) if channels_first else array


def _plain(label):
    return label.item() if hasattr(label, "item") else label


def _classes(data) -> tuple[str, ...]:
    """torchvision's datasets name their classes so."""
    classes = getattr(data, "classes", ())
    return tuple(map(str, classes)) if isinstance(classes, list | tuple) else ()


def _is_pictures(x) -> bool:
    """Whether it is a sequence of PIL's images."""
    if isinstance(x, np.ndarray) and x.dtype != object:
        return False
    if not (hasattr(x, "__getitem__") and hasattr(x, "__len__") and len(x)):
        return False
    try:
        return hasattr(x[0], "getexif")
    except (KeyError, TypeError):
        return False


def _pictures(key: str, images) -> np.ndarray:
    """Pixels uint8 [R, H, W, C]: one channel where all are grey, else RGB."""
    pixels = []
    for row, image in enumerate(images):
        try:
            pixels.append(decode(image, size=None, channels=None))
        except (Unreadable, OSError) as error:
            raise InputError(
                f"{key} has an unreadable image in row {row}: {error}"
            ) from None
    sizes = {array.shape[:2] for array in pixels}
    if len(sizes) > 1:
        listed = ", ".join(f"{h} x {w}" for h, w in sorted(sizes)[:5])
        raise InputError(
            f"{key} has images of {len(sizes)} sizes (height x width: {listed}); resize "
            "them to one: image.resize((64, 64))"
        )
    channels = max(array.shape[2] for array in pixels)
    return np.stack([np.repeat(p, channels // p.shape[2], axis=2) for p in pixels])
