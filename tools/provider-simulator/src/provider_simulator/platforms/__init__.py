"""The simulated platforms, one module each, modelled after the pages in docs/reference/platforms."""
