import os
from pathlib import Path

from jaxmem._shared.cache import cache_dir


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
