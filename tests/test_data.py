import contextlib
import functools
import http.server
import os
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError
from jaxmem.data import count_duplicates, tfds
from jaxmem.data.dataset import content_ids


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


def test_npz_comes_back_as_it_was(tmp_path):
    given = arrays()
    np.savez(tmp_path / "mine.npz", **given)
    data = jaxmem.load_dataset(str(tmp_path / "mine.npz"))
    np.testing.assert_array_equal(data.train.images, given["x_train"])
    np.testing.assert_array_equal(data.test.labels, given["y_test"])
    assert (data.name, data.num_classes) == ("mine", 4)


def test_shapes_and_kinds_are_made_one():
    given = arrays()
    grey = given["x_train"][..., 0], given["x_test"][..., 0]
    data = jaxmem.make_dataset("a", grey[0], given["y_train"], grey[1], given["y_test"])
    assert data.train.images.shape == (20, 5, 5, 1)
    wide = jaxmem.make_dataset(
        "a",
        grey[0].astype(np.int64),
        given["y_train"][:, None].astype(float),
        grey[1].astype(np.int64),
        given["y_test"],
    )
    assert wide.fingerprint == data.fingerprint and wide.train.labels.dtype == np.int32
    rows = jaxmem.make_dataset(
        "a", np.ones((3, 7)), [0, 1, 0], np.ones((2, 7), np.float32), [0, 1]
    )
    assert rows.train.images.shape == (3, 1, 7, 1)
    assert rows.train.images.dtype == np.float32


def test_ids_follow_the_content_not_the_row():
    images = arrays()["x_train"]
    ids = content_ids(images)
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(content_ids(images[order]), ids[order])
    assert np.unique(ids).size == 20
    changed = images.copy()
    changed[3, 0, 0, 0] ^= 1
    assert np.nonzero(content_ids(changed) != ids)[0].tolist() == [3]


def test_duplicates_are_counted():
    given = arrays()
    given["x_train"][[4, 9]] = given["x_train"][2]  # two more of row 2
    given["x_test"][[0, 5]] = given["x_train"][7]
    data = jaxmem.make_dataset("a", *given.values())
    assert count_duplicates(data.train.ids, data.test.ids) == (2, 2)


BAD = {
    "x_test is gone": ("x_test", None, "lacks x_test; it holds x_train, y_test, y_train"),
    "lengths differ": (
        "y_train",
        np.zeros(19, int),
        r"y_train has shape \(19,\).* 20 rows",
    ),
    "NaN pixels": ("x_train", np.full((20, 5, 5, 3), np.nan), "x_train has 1500 pixels"),
    "negative label": ("y_train", np.arange(20) - 1, "y_train has label -1"),
    "fractional label": ("y_test", np.arange(6) + 0.5, "y_test must hold class numbers"),
    "text label": ("y_test", np.array(list("abcdef")), "y_test must hold class numbers"),
    "label far too high": ("y_test", np.full(6, 10**6), "label 1000000 is no class number"),
    "other image shape": ("x_test", np.zeros((6, 4, 4, 3), np.uint8), "must agree"),
    "other kind": ("x_test", np.zeros((6, 5, 5, 3)), "must be of one kind"),
    "pixels above 255": ("x_train", np.full((20, 5, 5, 3), 300), "in 300 … 300"),
    "no rows": ("x_train", np.zeros((0, 5, 5, 3)), r"shape \(0, 5, 5, 3\)"),
    "text pixels": ("x_train", np.full((20, 5, 5, 3), "a"), "expected numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_malformed_npz(tmp_path, case):
    key, value, message = BAD[case]
    given = arrays()
    if value is None:
        del given[key]
    else:
        given[key] = value
    np.savez(tmp_path / "bad.npz", **given)
    with pytest.raises(InputError, match=message):
        jaxmem.load_dataset(str(tmp_path / "bad.npz"))


def test_files_that_are_no_npz(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        jaxmem.load_dataset(str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InputError, match="no readable"):
        jaxmem.load_dataset(str(tmp_path / "text.npz"))
    whole = tmp_path / "whole.npz"
    np.savez(whole, **arrays())
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(InputError, match="no readable"):
        jaxmem.load_dataset(str(tmp_path / "cut.npz"))


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

    # A second start decodes nothing and gives the same.
    monkeypatch.setattr(
        "jaxmem.data.tfds._decode", lambda *_: pytest.fail("decoded a second time")
    )
    again = jaxmem.load_dataset("mnist", shared / "tfds")
    assert again.fingerprint == data.fingerprint
    np.testing.assert_array_equal(again.train.images, data.train.images)


def test_prepared_cifar100_is_in_colour(shared):
    data = jaxmem.load_dataset("cifar100", shared / "tfds")
    assert data.train.images.shape == (50_000, 32, 32, 3)
    assert data.num_classes == 100
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
