"""Folders and files in buckets: gs:// of Google Cloud Storage, s3:// of Amazon and others.

Through TensorStore, as the arrays beside them: one set of credentials, found as Google's
and Amazon's own tools find them. STORAGE_EMULATOR_HOST and AWS_ENDPOINT_URL name other
servers than theirs.
"""

import errno
import fnmatch
import functools
import io
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeGuard

URL = re.compile(r"(gs|s3):/+")  # Path() makes one / of two
AT_ONCE = 8  # files that are copied side by side
RETRIES = 7  # of what a server that is away does not answer: for 100 seconds


class ObjectPath(PurePosixPath):
    """An object, or a folder of all whose names begin so; methods are those of Path.

    An object is replaced whole. A folder is there while anything is in it. What a bucket
    does not do is an OSError, as a disk's.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return URL.sub(r"\1://", text, count=1) if URL.match(text) else text

    def exists(self) -> bool:
        """As Path's."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """As Path's."""
        return self._read().state == "value"  # a list says of a forbidden bucket: empty

    def is_dir(self) -> bool:
        """As Path's."""
        return any(name != self._key for name in self._names())

    def iterdir(self) -> Iterator["ObjectPath"]:
        """What is in the folder: nothing, where there is none."""
        start = len(self._key) + 1
        names = {name[start:].partition("/")[0] for name in self._names()}
        return (self / name for name in sorted(names) if name)

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """Of what is in the folder, not deeper."""
        pattern = pattern.rstrip("/")
        return (path for path in self.iterdir() if fnmatch.fnmatch(path.name, pattern))

    def files(self) -> list["ObjectPath"]:
        """All objects in the folder, however deep."""
        bucket = ObjectPath(*self.parts[:2])
        return [bucket / name for name in sorted(self._names()) if name != self._key]

    def read_bytes(self) -> bytes:
        """As Path's."""
        read = self._read()
        if read.state != "value":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return read.value

    def read_text(self, encoding: str = "utf-8") -> str:
        """As Path's."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> None:
        """As Path's."""
        _done(self._bucket.write(self._key, data))

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        """As Path's."""
        self.write_bytes(text.encode(encoding))

    def open(self, mode: str = "rb") -> io.BytesIO:
        """To read."""
        assert mode == "rb", mode
        return io.BytesIO(self.read_bytes())

    def unlink(self, missing_ok: bool = False) -> None:
        """As Path's."""
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        _done(self._bucket.write(self._key, None))

    def rmtree(self) -> None:
        """Remove the folder, if there is one."""
        import tensorstore as ts

        within = ts.KvStore.KeyRange(self._key + "/", self._key + "0")
        _done(self._bucket.delete_range(within))

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: folders need not be made."""

    def rmdir(self) -> None:
        """Nothing: an empty folder is not there."""

    def absolute(self) -> "ObjectPath":
        """As Path's."""
        return self

    @property
    def kvstore(self) -> dict[str, Any]:
        """TensorStore's specification of the folder."""
        return {**_server(self.parts[0]), "bucket": self.parts[1], "path": f"{self._key}/"}

    @property
    def _key(self) -> str:
        return "/".join(self.parts[2:])

    @property
    def _bucket(self) -> Any:
        return open_kvstore({**self.kvstore, "path": ""})

    def _read(self) -> Any:
        return _done(self._bucket.read(self._key))

    def _names(self) -> list[str]:
        """The keys of the object and of all in the folder: "0" follows "/"."""
        import tensorstore as ts

        key = self._key
        found = _done(self._bucket.list(ts.KvStore.KeyRange(key, key + "0")))
        names = (name.decode() for name in found)
        return [name for name in names if name == key or name.startswith(key + "/")]


def in_bucket(path: PurePath) -> TypeGuard[ObjectPath]:
    """Whether a location is an object's, and no file's of this machine."""
    return isinstance(path, ObjectPath)


def open_kvstore(spec: dict[str, Any]) -> Any:
    """A `ts.KvStore`; raises OSError where there cannot be one."""
    if spec["driver"] == "file":
        import tensorstore as ts

        return ts.KvStore.open(spec).result()
    return _open(json.dumps(spec, sort_keys=True))


@functools.cache
def shared_context() -> Any:
    """What all that is opened in buckets shares: credentials, connections."""
    import tensorstore as ts

    return ts.Context()


@functools.lru_cache
def _open(spec: str) -> Any:
    import tensorstore as ts

    return _done(ts.KvStore.open(json.loads(spec), context=shared_context()))


def _server(scheme: str) -> dict[str, Any]:
    """The part of a specification that says which server, and how to ask it."""
    if scheme == "gs:":
        if emulator := os.environ.get("STORAGE_EMULATOR_HOST"):
            url = emulator if "://" in emulator else f"http://{emulator}"
            os.environ["TENSORSTORE_GCS_HTTP_URL"] = url
        return {"driver": "gcs", "gcs_request_retries": {"max_retries": RETRIES}}
    spec: dict[str, Any] = {
        "driver": "s3",
        "s3_request_retries": {"max_retries": RETRIES},
    }
    get = os.environ.get
    region = get("AWS_REGION") or get("AWS_DEFAULT_REGION") or "us-east-1"
    if server := get("AWS_ENDPOINT_URL_S3") or get("AWS_ENDPOINT_URL"):
        spec |= {"endpoint": server, "aws_region": region}
    if get("AWS_ACCESS_KEY_ID"):  # else it looks for files first, and says so
        spec["aws_credentials"] = {"type": "environment"}
    return spec


def _done(future: Any) -> Any:
    try:
        return future.result()
    except Exception as error:  # ValueError, and whatever else a server's answer becomes
        raise OSError(errno.EIO, said(error)) from error


def said(error: Exception) -> str:
    """TensorStore's words for what a server refused, without the answer in full."""
    return re.sub(r" \[[\w-]+='.*", "", str(error).strip(), flags=re.DOTALL)


def upload(folder: Path, target: ObjectPath, last: str) -> None:
    """Copy a folder into a bucket, this file of it last: it says that all is there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    ends = [path for path in files if path == folder / last]

    def copy(path: Path) -> None:
        (target / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(copy, (path for path in files if path not in ends)))
    for path in ends:
        copy(path)


def download(source: ObjectPath, folder: Path) -> None:
    """Copy a folder from a bucket."""

    def copy(path: ObjectPath) -> None:
        target = folder / path.relative_to(source).as_posix()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(copy, source.files()))
