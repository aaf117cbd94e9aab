"""Memory that goes back to the system once it was used."""

import ctypes
import sys

BLOCK_BYTES = 1 << 20
"""Blocks from this size on are mapped for themselves and unmapped when they are freed. 19 MiB of one argon2id hash are
well above it; what a request needs is well below."""
ARENAS = 1
"""glibc gives each thread a heap of its own, eight per core, and keeps them. Our threads run one after the other under
the interpreter's lock, and what runs beside it (argon2, TLS) allocates rarely."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def give_back_blocks() -> bool:
    """Fix the sizes from which glibc's allocator returns memory to the system; it raises them by itself otherwise.

    Left alone, `malloc` takes the size of the largest mapped block that was freed as its new threshold (mallopt(3),
    M_MMAP_THRESHOLD): after the first password, blocks of 19 MiB come from the heap and stay in the process.

    Returns:
        Whether it was done; on another C library nothing is changed.

    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = ((_M_MMAP_THRESHOLD, BLOCK_BYTES), (_M_TRIM_THRESHOLD, BLOCK_BYTES), (_M_ARENA_MAX, ARENAS))
    return 0 not in {mallopt(parameter, value) for parameter, value in wanted}
