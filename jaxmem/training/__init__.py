"""From a subset to the outcomes of its model: pure JAX, no disk, no clock, no progress."""
