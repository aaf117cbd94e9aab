"""The rules of sessions, keys, people and the public edge. Values in, decisions out; no I/O and no clock."""
