"""A large block that was freed is the system's again, whatever was freed before it."""

import subprocess
import sys

MIB = 1 << 20
CHILD = f"""
import ctypes, sys
from common.runtime.memory import give_back_blocks

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def resident():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * 4096

def made(size):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    return block

if sys.argv[1] == "fixed":
    assert give_back_blocks()
before = resident()
libc.free(made(20 * {MIB}))
blocks = [made(19 * {MIB}) for _ in range(3)]
guard = libc.malloc(512 << 10)  # above them on the heap: what lies below it cannot be trimmed
for block in blocks:
    libc.free(block)
print(resident() - before)
"""


def kept(how: str) -> int:
    """Return how many bytes are still resident after the blocks were freed."""
    done = subprocess.run([sys.executable, "-c", CHILD, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_freed_blocks_are_returned() -> None:
    assert kept("fixed") < 8 * MIB


def test_left_alone_the_allocator_keeps_them() -> None:
    """The reason for the rule: where a C library no longer does this, the rule can go."""
    assert kept("alone") > 8 * MIB
