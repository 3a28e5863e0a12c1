import io
import zipfile

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError


def arrays(n=20, e=6):
    rng = np.random.default_rng(1)
    return {
        "x_train": rng.integers(0, 256, (n, 5, 5, 3), np.uint8),
        "y_train": np.arange(n) % 4,
        "x_test": rng.integers(0, 256, (e, 5, 5, 3), np.uint8),
        "y_test": np.arange(e) % 4,
    }


def test_npz_comes_back_as_it_was(tmp_path):
    given = arrays()
    np.savez(tmp_path / "mine.npz", **given)
    data = jaxmem.load_dataset(str(tmp_path / "mine.npz"))
    np.testing.assert_array_equal(data.train.images, given["x_train"])
    np.testing.assert_array_equal(data.test.labels, given["y_test"])
    assert (data.name, data.num_classes) == ("mine", 4)


def test_npz_with_one_array_gone(tmp_path):
    given = arrays()
    del given["x_test"]
    np.savez(tmp_path / "bad.npz", **given, notes=np.array([None]))
    with pytest.raises(InputError, match="lacks x_test; it holds notes, x_train, y_test,"):
        jaxmem.load_dataset(tmp_path / "bad.npz")


def test_npz_says_which_file_and_array(tmp_path):
    np.savez(tmp_path / "bad.npz", **{**arrays(), "y_train": np.zeros(19, int)})
    with pytest.raises(InputError, match=r"bad.npz: y_train has shape \(19,\).* 20 rows"):
        jaxmem.load_dataset(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("X_train", "y_train", "X_test", "y_test"),
        ("trainX", "trainY", "testX", "testY"),
        ("x_tr", "y_tr", "x_te", "y_te"),
    ],
)
def test_npz_by_other_names_says_how_to_rename(tmp_path, monkeypatch, names):
    given = arrays()
    np.savez(tmp_path / "m.npz", **dict(zip(names, given.values(), strict=True)), val=1)
    with pytest.raises(InputError, match="rename them: ") as caught:
        jaxmem.load_dataset(tmp_path / "m.npz")
    monkeypatch.chdir(tmp_path)
    exec(str(caught.value).split("rename them: ")[1], {"np": np})  # what it says works
    data = jaxmem.load_dataset("m-renamed.npz")
    np.testing.assert_array_equal(data.train.images, given["x_train"])
    np.testing.assert_array_equal(data.test.labels, given["y_test"])


def test_npz_names_its_classes(tmp_path):
    names = ["ant", "bee", "cat", "dog", "eel"]  # no example of the last one
    np.savez(tmp_path / "mnist.NPZ.npz", **arrays(), class_names=names)
    (tmp_path / "mnist.NPZ.npz").rename(tmp_path / "mnist.NPZ")
    data = jaxmem.load_dataset(tmp_path / "mnist.NPZ")
    assert (data.num_classes, data.class_names) == (5, tuple(names))
    assert (data.name, data.recipes) == ("mnist", None)
    np.savez(tmp_path / "few.npz", **arrays(), class_names=names[:3])
    with pytest.raises(InputError, match=r"few.npz: y_train has label 3, but there are 3"):
        jaxmem.load_dataset(tmp_path / "few.npz")


def test_npz_in_the_home_folder(tmp_path, monkeypatch):
    np.savez(tmp_path / "mine.npz", **arrays())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert jaxmem.load_dataset("~/mine.npz").name == "mine"
    with pytest.raises(InputError, match="is a URL"):
        jaxmem.load_dataset("gs://bucket/mine.npz")


def flipped(whole: bytes, part: bytes, offset: int, mask: int = 0x55) -> bytes:
    """The file with some bits of one byte the other way round."""
    at = whole.index(part) + offset
    return whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :]


def absurdly_long(_) -> bytes:
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    with zipfile.ZipFile(file, "w") as archive, archive.open("x_train.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
    return file.getvalue()


DAMAGED = {
    "empty": lambda whole: b"",
    "text": lambda whole: b"hello",
    "cut": lambda whole: whole[:-200],
    "cut in half": lambda whole: whole[: len(whole) // 2],
    "pixel": lambda whole: flipped(whole, b"x_train.npy", 300),
    "header": lambda whole: flipped(whole, b"descr", 1),
    "magic": lambda whole: flipped(whole, b"NUMPY", 0),
    "encrypted": lambda whole: flipped(whole, b"PK\x01\x02", 8, 1),
    "absurd shape": absurdly_long,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_npz(tmp_path, case):
    np.savez(tmp_path / "whole.npz", **arrays())
    broken = DAMAGED[case]((tmp_path / "whole.npz").read_bytes())
    (tmp_path / "broken.npz").write_bytes(broken)
    with pytest.raises(InputError, match=r"broken.npz is no readable .npz file: [^\n]+$"):
        jaxmem.load_dataset(tmp_path / "broken.npz")


def test_files_that_are_no_npz(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        jaxmem.load_dataset(tmp_path / "none.npz")
    with pytest.raises(InputError, match="no readable"):
        jaxmem.load_dataset(tmp_path.rename(tmp_path.with_suffix(".npz")))


def test_npz_of_objects(tmp_path):
    np.savez(tmp_path / "o.npz", **{**arrays(), "y_test": np.array([None] * 6)})
    with pytest.raises(InputError, match=r"o.npz is no readable .*save its objects as"):
        jaxmem.load_dataset(tmp_path / "o.npz")
