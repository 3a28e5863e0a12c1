"""What TFDS itself prepares, with TensorFlow, from the raw files of MNIST."""

import contextlib
import functools
import http.server
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import jaxmem
from jaxmem import InputError


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
