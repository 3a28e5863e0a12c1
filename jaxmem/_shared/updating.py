"""Small files that several processes change: nobody's change is lost."""

from collections.abc import Callable
from pathlib import Path

from jaxmem._shared.arrays import kvstore
from jaxmem._shared.objects import open_kvstore


def update(path: Path, change: Callable[[bytes | None], bytes]) -> bytes:
    """Replace a file's content by change(content), as if no other process did so meanwhile.

    change: called again where another was faster; None: there is no file. Returns the new
    content. Raises OSError or ValueError where it cannot be written.
    """
    store = open_kvstore(kvstore(path.parent))
    while True:
        read = store.read(path.name).result()
        old = read.value if read.state == "value" else None
        new = change(old)
        if new == old:
            return new
        stamp = store.write(path.name, new, if_equal=read.stamp.generation).result()
        if stamp.generation:  # none: the file had changed
            return new
