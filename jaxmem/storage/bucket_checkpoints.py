"""Orbax's checkpoints in a bucket: made on this machine, and copied.

Orbax itself writes to gs:// with libraries of its own, and to s3:// not at all.
"""

import contextlib
import shutil
import tempfile
import weakref
from pathlib import Path

import orbax.checkpoint as ocp

from jaxmem._shared.files import remove
from jaxmem._shared.objects import ObjectPath, download, upload

DONE = "_CHECKPOINT_METADATA"  # which Orbax writes last, and we copy last
ABOUT, MODEL = "about", "model"  # items: what is known of all, and what is large


class BucketManager(ocp.CheckpointManager):
    """A manager on a folder of this machine, whose checkpoints are those of a bucket.

    A checkpoint is the same folder there. Models are here only while they are copied.
    """

    def __init__(self, folder: ObjectPath, options: ocp.CheckpointManagerOptions):
        self._bucket, self._here = folder, Path(tempfile.mkdtemp())
        self._forget = weakref.finalize(self, shutil.rmtree, self._here, True)
        for path in folder.glob("[0-9]*"):
            if (path / DONE).is_file():
                self._fetch(path.name, ABOUT)
                (self._here / path.name / DONE).write_bytes((path / DONE).read_bytes())
        options.create = True  # here
        super().__init__(self._here, options=options)

    def save(self, step: int, *args, **kwargs) -> bool:
        """As Orbax's, but the checkpoint is in the bucket when it returns."""
        saved = super().save(step, *args, **kwargs)
        self.wait_until_finished()
        upload(self._here / str(step), self._bucket / str(step), last=DONE)
        remove(self._here / str(step) / MODEL)
        kept = {str(number) for number in self.all_steps()}
        for path in self._bucket.glob("[0-9]*"):
            if path.name not in kept:  # of max_to_keep, or copied in part
                self._delete(path.name)
        return saved

    def restore(self, step: int | None, *args, **kwargs):
        """As Orbax's."""
        composite = kwargs.get("args")
        if composite is None or MODEL not in composite.keys():
            return super().restore(step, *args, **kwargs)
        self._fetch(str(step), MODEL)
        with contextlib.ExitStack() as stack:
            stack.callback(remove, self._here / str(step) / MODEL)
            return super().restore(step, *args, **kwargs)

    def delete(self, step: int) -> None:
        """As Orbax's."""
        super().delete(step)
        self._delete(str(step))

    def close(self) -> None:
        """As Orbax's."""
        super().close()
        self._forget()

    def _fetch(self, name: str, item: str) -> None:
        download(self._bucket / name / item, self._here / name / item)

    def _delete(self, name: str) -> None:
        (self._bucket / name / DONE).unlink(missing_ok=True)
        (self._bucket / name).rmtree()
