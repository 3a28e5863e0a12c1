"""The version of jaxmem: in results, and read by setup.cfg without importing JAX."""

__version__ = "0.1.0"
