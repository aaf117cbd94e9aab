"""The simulated platforms, one module each, modelled after providers.md."""
