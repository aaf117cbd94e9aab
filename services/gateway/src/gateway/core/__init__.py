"""The rules of the public origin. Values in, decisions out; no I/O and no clock."""
