"""The bare ceilings: the smallest programs on the same libraries that do the same I/O, and nothing else."""
