"""Where decoded data and compiled programs are kept between runs."""

import os
from pathlib import Path

import jax


def cache_dir() -> Path:
    """$JAXMEM_CACHE, or jaxmem in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("JAXMEM_CACHE") or Path(home) / "jaxmem")


def keep_compiled() -> None:
    """Keep compiled programs for the next run, where the user has not said otherwise."""
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
