"""Images as a dataset keeps them, and their ids."""

import hashlib

import numpy as np

from jaxmem.data.arrays import as_array
from jaxmem.errors import InputError

KEPT = (np.dtype(np.uint8), np.dtype(np.float32), np.dtype(bool))  # as they are
WHOLE = (np.int8, np.int16, np.uint16, np.int32)  # for other whole numbers


def content_ids(images) -> np.ndarray:
    """An id per row from its content alone: str [R] of 16 hexadecimal digits.

    The first 64 bits of SHA-256 over kind, shape (H, W, C) and values of images [R, D],
    [R, H, W] or [R, H, W, C], as `make_dataset` takes and numbers them: equal numbers have
    equal ids in every whole-numbered dtype, and in every floating one once in float32.
    Loaders order rows differently; by their ids, scores can be joined. The label is no part
    of it, so that a relabelled example keeps its id. Raises InputError as `make_dataset`.
    """
    return ids_of(read_images("images", images))


def ids_of(images: np.ndarray) -> np.ndarray:
    """`content_ids` of what `read_images` gave."""
    return np.array([id_of(image) for image in np.asarray(images)], dtype="U16")


def id_of(image: np.ndarray) -> str:
    """The id of one image [H, W, C], a row of what `read_images` gave."""
    if image.dtype.kind == "f":
        image = (image + np.float32(0)).astype("<f4", copy=False)  # -0.0 becomes 0.0
    elif image.dtype != np.uint8:
        bytes_hold_it = 0 <= image.min() and image.max() <= 255
        image = image.astype(np.uint8 if bytes_hold_it else "<i4")
    digest = hashlib.sha256(f"{image.dtype.name}{image.shape}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()[:16]


def read_images(key: str, values) -> np.ndarray:
    """Rows [R, D], [R, H, W] or [R, H, W, C] as [R, H, W, C].

    Floating point becomes float32; bool and whole numbers keep their dtype. Raises
    InputError, naming `key`, for other dtypes and shapes, no rows, channels first, numbers
    beyond int32, and floating point that is not finite in float32.
    """
    images = as_array(key, values)
    if images.dtype.kind == "O":
        way = f"np.stack({key})" if images.ndim == 1 else f"{key}.astype(np.float32)"
        raise InputError(f"{key} holds Python objects; give {way}")
    images = images.reshape(_shape(key, images.shape))
    if images.dtype.kind == "f" or images.dtype.name == "bfloat16":
        return _finite(key, images)
    if images.dtype.kind not in "iub":
        raise InputError(
            f"{key} has dtype {images.dtype.name}; expected numbers: uint8 pixels, whole "
            "numbers, floating point or bool"
        )
    if images.dtype == np.uint8:
        return images
    for extreme in (int(images.min()), int(images.max())):
        if not -(2**31) <= extreme < 2**31:
            raise InputError(
                f"{key} has the whole number {extreme}, beyond int32; give floating point: "
                f"{key}.astype(np.float32)"
            )
    return images


def one_kind(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in one dtype: uint8, bool, float32, or the first of WHOLE that holds both.

    uint8 means pixels, so that it is only for what was given as such. Raises InputError
    where one is whole-numbered and the other floating point.
    """
    if train.dtype == test.dtype and train.dtype in KEPT:
        return np.ascontiguousarray(train), np.ascontiguousarray(test)
    if "f" in (train.dtype.kind, test.dtype.kind):
        raise InputError(
            "x_train and x_test must be of one kind, but one is whole-numbered and the "
            "other floating point; give both .astype(np.float32)"
        )
    lowest = min(int(train.min()), int(test.min()))
    highest = max(int(train.max()), int(test.max()))
    dtype = next(
        d for d in WHOLE if np.iinfo(d).min <= lowest and highest <= np.iinfo(d).max
    )
    return train.astype(dtype, order="C"), test.astype(dtype, order="C")


def _shape(key: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape as (R, H, W, C)."""
    if not 2 <= len(shape) <= 4 or 0 in shape:
        way = f" (one value a row: {key}[:, None])" if len(shape) == 1 else ""
        raise InputError(
            f"{key} has shape {shape}; expected one or more rows, as [R, D], [R, H, W] or "
            f"[R, H, W, C]{way}"
        )
    if len(shape) == 4 and shape[1] in (1, 3, 4) and min(shape[2:]) > 4:
        raise InputError(
            f"{key} has shape {shape}, channels first; give {key}.transpose(0, 2, 3, 1)"
        )
    return {2: (shape[0], 1, *shape[1:], 1), 3: (*shape, 1), 4: shape}[len(shape)]


def _finite(key: str, images: np.ndarray) -> np.ndarray:
    """As float32; what is float32 already stays where it lies, also in a memory map."""
    kept = images.dtype == np.float32
    floats = images if kept else np.empty(images.shape, np.float32)
    for start in range(0, len(images), _rows_at_a_time(images)):
        part = slice(start, start + _rows_at_a_time(images))
        if not kept:
            with np.errstate(all="ignore"):
                floats[part] = images[part]
        if not np.isfinite(floats[part]).all():
            raise InputError(_not_finite(key, images))
    return floats


def _rows_at_a_time(images: np.ndarray, room: int = 2**26) -> int:
    return max(1, room // max(1, images[0].nbytes))


def _not_finite(key: str, images: np.ndarray) -> str:
    with np.errstate(all="ignore"):
        bad = ~np.isfinite(images.astype(np.float32))
    row = bad.any(axis=(1, 2, 3)).argmax()
    fault = "NaN or infinite; leave out such rows, or fill them in"
    if np.isfinite(images[bad]).all():
        fault = "beyond float32; scale them"
    return f"{key} has {bad.sum()} pixels, the first in row {row}, that are {fault}"
