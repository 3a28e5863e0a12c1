"""Where decoded data and compiled programs are kept between runs."""

import os
import tempfile
from pathlib import Path

import jax

from jaxmem._shared.files import local_path


def cache_dir() -> Path:
    """$JAXMEM_CACHE, or jaxmem in the user's cache folder.

    For a user without a home it is in the folder for temporary files. Raises InputError
    for a variable that names no folder of this machine.
    """
    if chosen := os.environ.get("JAXMEM_CACHE"):
        return local_path(chosen)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return local_path(caches) / "jaxmem"
    try:
        return Path.home() / ".cache" / "jaxmem"
    except RuntimeError:  # a container's user, unknown to its system
        return Path(tempfile.gettempdir()) / f"jaxmem-{os.getuid()}"


def keep_compiled() -> None:
    """Keep compiled programs for the next run, where the user has not said otherwise."""
    # JAX makes its options at run time.
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
