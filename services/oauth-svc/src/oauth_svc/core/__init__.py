"""The rules of oauth-svc: values in, decisions out. No I/O, no await, no clock, no randomness."""
