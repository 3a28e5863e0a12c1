import contextlib
import functools
import http.server
import io
import os
import subprocess
import sys
import threading
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from tensorflow_datasets import features as features_of_tfds

import jaxmem
from jaxmem import InputError
from jaxmem._shared.cache import cache_dir
from jaxmem.data import count_duplicates, tfds

SHARD = "mnist-train.array_record-00000-of-00001"


def arrays(n=20, e=6):
    rng = np.random.default_rng(1)
    return {
        "x_train": rng.integers(0, 256, (n, 5, 5, 3), np.uint8),
        "y_train": np.arange(n) % 4,
        "x_test": rng.integers(0, 256, (e, 5, 5, 3), np.uint8),
        "y_test": np.arange(e) % 4,
    }


def test_digits_are_a_fixed_stratified_split(digits):
    assert digits.train.images.shape == (1437, 8, 8, 1)
    assert digits.test.images.shape == (360, 8, 8, 1)
    assert digits.train.images.max() == 1.0
    shares = [np.bincount(s.labels) / s.labels.size for s in (digits.train, digits.test)]
    np.testing.assert_allclose(*shares, atol=0.005)
    assert digits.fingerprint == jaxmem.load_dataset("digits").fingerprint
    assert count_duplicates(digits.train.ids, digits.test.ids) == (0, 0)
    assert (digits.recipes, digits.class_names) == ("digits", ())
    assert digits.fingerprint == "d5fc9b93d7546d23"  # as of the runs that there are


def test_npz_comes_back_as_it_was(tmp_path):
    given = arrays()
    np.savez(tmp_path / "mine.npz", **given)
    data = jaxmem.load_dataset(str(tmp_path / "mine.npz"))
    np.testing.assert_array_equal(data.train.images, given["x_train"])
    np.testing.assert_array_equal(data.test.labels, given["y_test"])
    assert (data.name, data.num_classes) == ("mine", 4)


def test_duplicates_are_counted():
    given = arrays()
    given["x_train"][[4, 9]] = given["x_train"][2]  # two more of row 2
    given["x_test"][[0, 5]] = given["x_train"][7]
    data = jaxmem.make_dataset("a", *given.values())
    assert count_duplicates(data.train.ids, data.test.ids) == (2, 2)


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


def test_unknown_tfds_name_suggests_a_known_one(tmp_path):
    with pytest.raises(InputError, match=r"unknown dataset 'mnits': did you mean .*mnist"):
        jaxmem.load_dataset("mnits", tmp_path)


def test_prepared_mnist_is_the_real_one(shared, monkeypatch):
    data = jaxmem.load_dataset("mnist", shared / "tfds")
    assert data.train.images.shape == (60_000, 28, 28, 1)
    assert data.test.images.shape == (10_000, 28, 28, 1)
    # The class counts and mean pixel of the original files.
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.train.labels).tolist() == counts
    assert round(float(data.train.images.mean()) / 255, 4) == 0.1307

    assert (data.recipes, data.class_names) == ("mnist", ())

    # A second start decodes nothing and gives the same.
    monkeypatch.setattr(
        "jaxmem.data.tfds._decode", lambda *_: pytest.fail("decoded a second time")
    )
    again = jaxmem.load_dataset("mnist:3.0.1", shared / "tfds")
    assert (again.recipes, again.name) == ("mnist", "mnist:3.0.1")
    assert again.fingerprint == data.fingerprint
    np.testing.assert_array_equal(again.train.images, data.train.images)


def test_prepared_cifar100_is_in_colour(shared):
    data = jaxmem.load_dataset("cifar100", shared / "tfds")
    assert data.train.images.shape == (50_000, 32, 32, 3)
    assert data.num_classes == 100
    assert (data.class_names[0], data.class_names[99]) == ("apple", "worm")
    assert set(np.bincount(data.train.labels)) == {500}


def test_unprepared_dataset_without_tensorflow(tmp_path, no_tensorflow):
    with pytest.raises(
        InputError, match=r"'mnist' is not prepared in .*pip install tensorflow"
    ):
        jaxmem.load_dataset("mnist", tmp_path)


def test_dataset_that_is_no_image_classification():
    info = types.SimpleNamespace(supervised_keys=None, features={})
    builder = types.SimpleNamespace(name="wikipedia", info=info)
    with pytest.raises(InputError, match="'wikipedia' is not image classification"):
        tfds._keys(builder)


@pytest.fixture
def pets(tmp_path, monkeypatch):
    """load_dataset("pets") by a builder of 8 + 4 images; counts how often it decodes."""
    features = {
        "image": features_of_tfds.Image(shape=(5, 5, 3)),
        "label": features_of_tfds.ClassLabel(names=["cat", "dog"]),
    }
    info = types.SimpleNamespace(
        full_name="pets/1.0.0",
        supervised_keys=("image", "label"),
        features=features_of_tfds.FeaturesDict(features),
        splits={
            "train": types.SimpleNamespace(num_examples=8),
            "test": types.SimpleNamespace(num_examples=4),
        },
    )
    (tmp_path / "prepared").mkdir()
    builder = types.SimpleNamespace(
        name="pets",
        info=info,
        is_prepared=lambda: True,
        data_path=epath.Path(tmp_path / "prepared"),
        decoded=0,
    )

    def examples(builder, split, rows):
        builder.decoded += 1
        images = arrays()[f"x_{split}"]
        for row in range(rows):
            yield {"image": images[row], "label": row % 2}

    monkeypatch.setattr(tfds, "_builder", lambda *_: builder)
    monkeypatch.setattr(tfds, "_examples", examples)
    monkeypatch.setenv("JAXMEM_CACHE", str(tmp_path / "cache"))
    return builder


def only_file(folder):
    (found,) = folder.iterdir()
    return found


def write_other_arrays(path):
    np.savez(path, **arrays())


def write_half_the_labels(path):
    with np.load(path) as file:
        kept = dict(file)
    np.savez(path, **{**kept, "train_labels": kept["train_labels"][:4]})


def become_a_folder(path):
    path.unlink()
    path.mkdir()


SPOILING = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "pixel": lambda path: path.write_bytes(flipped(path.read_bytes(), b"_images.npy", 300)),
    "objects": lambda path: np.savez(path, train_images=np.array([None])),
    "other arrays": write_other_arrays,
    "other lengths": write_half_the_labels,
    "a folder": become_a_folder,
}


@pytest.mark.parametrize("case", SPOILING)
def test_spoiled_cache_is_decoded_anew(pets, tmp_path, case):
    data = jaxmem.load_dataset("pets")
    assert (data.class_names, data.recipes) == (("cat", "dog"), "pets")
    assert (jaxmem.load_dataset("pets").fingerprint, pets.decoded) == (data.fingerprint, 2)
    SPOILING[case](only_file(tmp_path / "cache/data"))
    again = jaxmem.load_dataset("pets")
    assert (again.fingerprint, pets.decoded) == (data.fingerprint, 4)
    assert (again.class_names, again.recipes) == (data.class_names, data.recipes)
    jaxmem.load_dataset("pets")
    replaced = case != "a folder"  # which may be anything
    assert pets.decoded == (4 if replaced else 6)
    only_file(tmp_path / "cache/data")  # nothing half-written beside it


def test_cache_that_cannot_be_written(pets, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("in the way")
    assert jaxmem.load_dataset("pets").num_classes == 2

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("JAXMEM_CACHE", str(tmp_path / "full"))
    monkeypatch.setattr(np, "savez", full)
    assert jaxmem.load_dataset("pets").num_classes == 2
    assert not list((tmp_path / "full/data").iterdir())


def test_prepared_dataset_with_rows_missing(pets):
    pets.info.splits["train"].num_examples = 30
    with pytest.raises(InputError, match=r"'pets' cannot be read from .*prepared: .* 20"):
        jaxmem.load_dataset("pets")
    pets.info.splits.clear()
    with pytest.raises(InputError, match=r"'pets' in .*prepared has no splits"):
        jaxmem.load_dataset("pets")


DAMAGE = {
    "dataset_info.json cut": ("dataset_info.json", 200, "'mnist' cannot be opened in "),
    "dataset_info.json gone": ("dataset_info.json", None, "'mnist' in .* has no splits"),
    "shard gone": (SHARD, None, r"'mnist' cannot be read from .*mnist/3.0.1: .*No such"),
    "shard cut": (SHARD, 200_000, "'mnist' cannot be read from .*mnist/3.0.1: Corrupted"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_prepared_files_that_are_damaged(shared, tmp_path, monkeypatch, case):
    name, size, message = DAMAGE[case]
    folder = tmp_path / "mnist/3.0.1"
    folder.mkdir(parents=True)
    for file in (shared / "tfds/mnist/3.0.1").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    if size is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])
    monkeypatch.setenv("JAXMEM_CACHE", str(tmp_path / "empty"))
    with pytest.raises(InputError, match=message):
        jaxmem.load_dataset("mnist", tmp_path)


@pytest.mark.parametrize("name", ["./mine", "mine.npy", "", "mnist:9.9.9", "mnist/none"])
def test_names_that_tfds_cannot_take(tmp_path, name):
    with pytest.raises(InputError, match=f"dataset '{name}' cannot be opened in"):
        jaxmem.load_dataset(name, tmp_path)


def test_data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tfds._data_dir("~/data") == str(tmp_path / "data")
    assert tfds._data_dir("gs://bucket/data") == "gs://bucket/data"
    assert tfds._data_dir(None) is None
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", "~/tensorflow")
    with pytest.raises(InputError, match=r"no home folder .* give --data-dir"):
        jaxmem.load_dataset("mnist")


def test_cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JAXMEM_CACHE", "~/kept")
    assert cache_dir() == tmp_path / "kept"
    monkeypatch.delenv("JAXMEM_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir() == tmp_path / ".cache/jaxmem"

    def homeless(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", classmethod(homeless))
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/temporary")
    assert cache_dir() == Path(f"/temporary/jaxmem-{os.getuid()}")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_dir() == Path("/caches/jaxmem")
    monkeypatch.setenv("JAXMEM_CACHE", "/chosen")
    assert cache_dir() == Path("/chosen")


@contextlib.contextmanager
def serving(folder):
    """The folder on a loopback port; yields its URL."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


PREPARE = """
import sys
import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.image_classification import mnist
import jaxmem

mnist.MNIST.URL = sys.argv[1]
# Another server's files are unknown to TFDS: it records them instead of refusing.
prepare = tfds.core.DatasetBuilder.download_and_prepare
config = tfds.download.DownloadConfig(force_checksums_validation=False)
tfds.core.DatasetBuilder.download_and_prepare = (
    lambda self: prepare(self, download_config=config)
)
_, _, form, data_dir = sys.argv
if form == "tfrecord":  # not what jaxmem prepares
    tfds.builder("mnist", data_dir=data_dir, file_format=form).download_and_prepare()
data = jaxmem.load_dataset("mnist", data_dir)
found = np.sort(np.concatenate([data.train.ids, data.test.ids]))
np.save(f"{data_dir}-ids.npy", found)
"""


@pytest.mark.parametrize(
    "form", ["array_record", pytest.param("tfrecord", marks=pytest.mark.slow)]
)
def test_tfds_prepares_mnist_from_the_raw_files(
    shared, tmp_path, monkeypatch, request, form
):
    """In a process of its own, since TensorFlow stays where it is loaded."""
    if subprocess.run(
        [sys.executable, "-c", "import tensorflow"], capture_output=True
    ).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have TensorFlow")
        pytest.skip("needs TensorFlow (the extra tfds)")
    folder = tmp_path / "prepared"
    with serving(shared / "raw" / "mnist") as url:
        done = subprocess.run(
            [sys.executable, "-c", PREPARE, url, form, str(folder)],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    real = jaxmem.load_dataset("mnist", shared / "tfds")
    ids = np.sort(np.concatenate([real.train.ids, real.test.ids]))
    np.testing.assert_array_equal(np.load(f"{folder}-ids.npy"), ids)

    # What jaxmem prepared reads without TensorFlow; TFRecord says that it does not.
    monkeypatch.setenv("JAXMEM_CACHE", str(tmp_path / "empty"))
    request.getfixturevalue("no_tensorflow")
    if form == "array_record":
        again = jaxmem.load_dataset("mnist", folder)
        assert np.isin(again.train.ids, real.train.ids).all()
    else:
        with pytest.raises(InputError, match="as tfrecord, which only TensorFlow reads"):
            jaxmem.load_dataset("mnist", folder)
