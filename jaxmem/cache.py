"""Where decoded data and compiled programs are kept between runs."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """$JAXMEM_CACHE, or jaxmem in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("JAXMEM_CACHE") or Path(home) / "jaxmem")
