"""The rules of notices: values in, decisions out. No I/O, no clock, no randomness."""
