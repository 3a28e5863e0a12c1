import numpy as np
import pytest

from jaxmem import InputError, load_dataset

rng = np.random.default_rng(0)
ARRAYS = {
    "x_train": rng.integers(0, 256, (20, 5, 5, 3), np.uint8),
    "y_train": np.arange(20) % 4,
    "x_test": rng.integers(0, 256, (6, 5, 5, 3), np.uint8),
    "y_test": np.arange(6) % 4,
}


def write(folder, **changed):
    folder.mkdir(exist_ok=True)
    for name, values in {**ARRAYS, **changed}.items():
        np.save(folder / f"{name}.npy", values)
    return folder


def lies_in(images, path):
    """Whether an array's memory is the file's: what is written there shows here."""
    with open(path, "r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 255]))
    return images.reshape(-1).view(np.uint8)[-1] == last ^ 255


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bool"])
def test_arrays_stay_on_disk(tmp_path, dtype):
    folder = write(
        tmp_path / "mine",
        x_train=(ARRAYS["x_train"] > 99).astype(dtype),
        x_test=(ARRAYS["x_test"] > 99).astype(dtype),
    )
    data = load_dataset(folder)
    assert (data.name, data.train.images.shape, data.num_classes) == (
        "mine",
        (20, 5, 5, 3),
        4,
    )
    assert data.train.images.dtype == dtype and data.train.images.ctypes.data % 64 == 0
    assert lies_in(data.train.images, folder / "x_train.npy")
    assert lies_in(data.test.images, folder / "x_test.npy")


def test_embeddings(tmp_path):
    vectors = rng.normal(size=(26, 8))
    folder = write(tmp_path / "v", x_train=vectors[:20], x_test=vectors[20:])
    data = load_dataset(folder)
    assert data.train.images.shape == (20, 1, 8, 1)
    assert data.train.images.dtype == np.float32


def test_names(tmp_path):
    folder = write(
        tmp_path / "mine",
        class_names=np.array(["ant", "bee", "cat", "dog"]),
        train_names=np.array([f"{row}.jpg" for row in range(20)]),
    )
    data = load_dataset(folder)
    assert data.class_names == ("ant", "bee", "cat", "dog")
    assert data.train.names[19] == "19.jpg" and data.test.names[5] == "5"
    with pytest.raises(
        InputError, match=r"mine: test_names has shape \(3,\); expected a n"
    ):
        load_dataset(write(folder, test_names=np.array(["a", "b", "c"])))


def test_refused(tmp_path):
    folder = write(tmp_path / "mine", y_train=np.arange(19))
    with pytest.raises(
        InputError, match=r"mine: y_train has shape \(19,\), but x_train has"
    ):
        load_dataset(folder)
    (folder / "y_test.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"y_test.npy is no readable .npy file"):
        load_dataset(folder)
    (folder / "y_test.npy").unlink()
    with pytest.raises(InputError, match=r"mine has x_train.npy, but lacks y_test.npy"):
        load_dataset(folder)
    with pytest.raises(InputError, match=r"has no use for test_fraction=0.2; leave it out"):
        load_dataset(folder, test_fraction=0.2)
    x = ARRAYS["x_train"].astype(np.float32)
    x[7, 0, 0, 0] = np.nan
    folder = write(tmp_path / "nan", x_train=x, x_test=ARRAYS["x_test"] / 2)
    with pytest.raises(
        InputError, match="x_train has 1 pixels, the first in row 7, that are"
    ):
        load_dataset(folder)
