"""Files in buckets, by the methods of Path."""

from pathlib import Path

import numpy as np
import pytest

from jaxmem import InputError
from jaxmem._shared.arrays import make_group
from jaxmem._shared.files import (
    local_path,
    location,
    read_json,
    read_npz,
    remove,
    replacing,
    write_json,
)
from jaxmem._shared.objects import ObjectPath, download, upload
from jaxmem._shared.updating import update


@pytest.mark.parametrize("text", ["gs://bucket/a/b.npz", "gs:/bucket/a//b.npz/"])
def test_names_are_taken_apart_as_paths(text):
    path = location(text)
    assert str(path) == f"{path}" == "gs://bucket/a/b.npz" and path == location(str(path))
    assert (path.name, path.suffix, path.stem) == ("b.npz", ".npz", "b")
    assert str(path.parent) == "gs://bucket/a" and str(path / "c") == f"{path}/c"
    assert str(path.with_suffix("")) == "gs://bucket/a/b"
    assert str(location(path)) == str(path) and location(Path(text)) == path


def test_what_is_no_location(tmp_path):
    assert location(str(tmp_path)) == tmp_path
    for text, said in (
        ("http://host/run", r"http://host/run: give a folder, gs://BUCKET/FOLDER or s3://"),
        ("s3://bucket", "s3://bucket is a bucket; give a folder in it, as s3://bucket/run"),
        ("s3://", "s3:// is a bucket"),
    ):
        with pytest.raises(InputError, match=said):
            location(text)
    with pytest.raises(InputError, match="is a URL; give a folder or file of this machine"):
        local_path("gs://bucket/data.npz")


@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_files_and_folders(kind, request):
    folder = request.getfixturevalue(kind)
    file = folder / "a" / "b.txt"
    assert not folder.exists() and not file.exists() and not list(folder.iterdir())
    with pytest.raises(FileNotFoundError):
        file.read_bytes()
    with pytest.raises(InputError, match=r"b.txt: No such file"):
        read_json(file)
    file.write_text("ü")
    (folder / "ab").write_bytes(b"")
    assert file.read_text() == "ü" and file.open("rb").read() == "ü".encode()
    assert file.is_file() and not file.is_dir() and file.exists()
    assert (folder / "a").is_dir() and not (folder / "a").is_file()
    assert (folder / "ab").exists() and not (folder / "ab").is_dir()
    assert [path.name for path in folder.iterdir()] == ["a", "ab"]
    assert list(folder.glob("?b")) == [folder / "ab"]
    assert folder.files() == [file, folder / "ab"]
    remove(folder / "a")
    remove(folder / "ab")
    assert not folder.exists()
    remove(folder)
    (folder / "none").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (folder / "none").unlink()


def test_replacing_leaves_the_old_or_the_new(s3):
    write_json(s3 / "x.json", 1)
    with pytest.raises(KeyError), replacing(s3 / "x.json") as partial:
        partial.write_text("2")
        raise KeyError
    assert read_json(s3 / "x.json") == 1
    with replacing(s3 / "x.npz") as partial:
        np.savez(partial, a=np.arange(3))
    assert read_npz(s3 / "x.npz")["a"].tolist() == [0, 1, 2]
    assert [path.name for path in s3.iterdir()] == ["x.json", "x.npz"]


def test_a_folder_of_arrays_is_there_when_all_of_it_is(s3, monkeypatch):
    """Its zarr.json goes first and comes last."""
    path, seen = s3 / "x.zarr", []
    write = ObjectPath.write_bytes

    def spy(self, data):
        seen.append((self.name, (path / "zarr.json").exists()))
        write(self, data)

    monkeypatch.setattr(ObjectPath, "write_bytes", spy)
    for names in (["old", "both"], ["both", "new"]):
        with replacing(path) as partial:
            make_group(partial, trials=1)
            for name in names:
                (partial / name).write_text(name)
        assert sorted(file.name for file in path.files()) == sorted([*names, "zarr.json"])
        assert seen.pop() == ("zarr.json", False) and len(seen) == 2
        assert not any(there for _, there in seen)
        seen.clear()
    (s3 / "other" / "file").write_bytes(b"")
    with pytest.raises(InputError, match="other is a folder of something else"):
        with replacing(s3 / "other") as partial:
            make_group(partial, trials=1)
    assert (s3 / "other" / "file").exists()


def test_folders_are_copied_whole(s3, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/b/1", "a/2", "done"):
        (tmp_path / name).write_text(name)
    upload(tmp_path, s3 / "copy", last="done")
    download(s3 / "copy", tmp_path / "back")
    for name in ("a/b/1", "a/2", "done"):
        assert (tmp_path / "back" / name).read_text() == name


def test_nobodys_change_is_lost(s3):
    """Between our read and our write, another writes."""
    path, others = s3 / "count", [b"10", b"20"]

    def change(old):
        if others:
            path.write_bytes(others.pop(0))
        return str(int(old or 0) + 1).encode()

    assert update(path, change) == path.read_bytes() == b"21"


def test_a_bucket_that_is_not_there(s3):
    with pytest.raises(OSError, match=r"The specified bucket does not exist$"):
        (location("s3://none/run") / "x").write_bytes(b"")
