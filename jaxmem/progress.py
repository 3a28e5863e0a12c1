"""Progress bars with the time left; quiet where nobody watches."""

import sys

from tqdm import tqdm


def progress(what: str, total: int, unit: str, done: int = 0) -> tqdm:
    """A bar on standard error, off when that is not a terminal."""
    return tqdm(
        desc=what,
        total=total,
        initial=done,
        unit=f" {unit}",
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
        leave=False,
    )
