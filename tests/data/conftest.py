"""Small data on disk; nothing is asked of the network."""

import os
from pathlib import Path

import pytest
from drawing import write_classes

# Before `datasets` is imported, which reads it then.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    """A cache that no other test uses; the folder of decoded data in it."""
    monkeypatch.setenv("JAXMEM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/data"


@pytest.fixture
def pictures(tmp_path, own_cache) -> Path:
    """A folder with train/ and test/, of 4 and 2 pictures [6, 5, 3] of cats and of dogs."""
    for split, count in (("train", 4), ("test", 2)):
        write_classes(tmp_path / "pets" / split, {"cat": count, "dog": count})
    return tmp_path / "pets"
