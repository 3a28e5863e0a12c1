"""Strict JAX, four fake CPU devices, and where the real data lies."""

import os
import secrets
from pathlib import Path

import jax
import numpy as np
import pytest
from buckets import S3_ENVIRONMENT, gcs_server, s3_server

import jaxmem
from jaxmem._shared.files import location

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = Path(__file__).parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The prepared real data beside the checkout; CI must have it."""
    if not SHARED.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{SHARED} is missing")
        pytest.skip(f"needs the prepared datasets in {SHARED}")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache of the tests' own; workers and subprocesses share what they compile in it."""
    path = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        path = path.parent  # of all workers
    path /= "cache"
    path.mkdir(exist_ok=True)
    os.environ["JAXMEM_CACHE"] = str(path)
    # Most tests compile the same small programs.
    jax.config.update("jax_compilation_cache_dir", str(path / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    return path


@pytest.fixture(scope="session")
def digits() -> jaxmem.Dataset:
    return jaxmem.load_dataset("digits")


@pytest.fixture
def tiny() -> jaxmem.Dataset:
    """61 training and 9 test images [4, 4, 1] of three classes, uint8."""
    rng = np.random.default_rng(0)
    return jaxmem.make_dataset(
        "tiny",
        rng.integers(0, 256, (61, 4, 4), np.uint8),
        rng.integers(0, 3, 61),
        rng.integers(0, 256, (9, 4, 4), np.uint8),
        np.arange(9) % 3,
    )


@pytest.fixture
def tiny_recipe() -> dict:
    """Arguments of `run_trials` for `tiny` that take milliseconds, and no timing."""
    return {"epochs": 2, "batch_size": 8, "hidden": (5,), "width": 1}


@pytest.fixture
def no_tensorflow(monkeypatch):
    """As on a machine without TensorFlow, also where it is installed."""
    monkeypatch.setattr("jaxmem.data.tfds._has_tensorflow", lambda: False)


@pytest.fixture(scope="session")
def s3_address():
    with s3_server() as address:
        yield address


@pytest.fixture(scope="session")
def gcs_address():
    with gcs_server() as address:
        yield address


@pytest.fixture
def s3(s3_address, monkeypatch):
    """A folder of its own in a bucket of an S3 that is not Amazon's."""
    for name, value in {**S3_ENVIRONMENT, "AWS_ENDPOINT_URL": s3_address}.items():
        monkeypatch.setenv(name, value)
    return location(f"s3://bucket/{secrets.token_hex(4)}")


@pytest.fixture
def gcs(gcs_address, monkeypatch):
    """A folder of its own in a bucket of a Cloud Storage that is not Google's."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_address)
    return location(f"gs://bucket/{secrets.token_hex(4)}")
