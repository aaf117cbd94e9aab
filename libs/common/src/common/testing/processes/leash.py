"""Runs a program so that it dies with its parent: `python -I -S leash.py PARENT SIGNAL USER -- PROGRAM ARGS…`.

A program of its own and not a `preexec_fn`, because Python code between fork and exec can deadlock in a
parent that has threads. Standard library only and quick to start: each child pays for it once.

USER says how a root parent gives up being root, which PostgreSQL insists on:
`keep` (no change), `namespace` (a user namespace in which this user is not root; files stay root's),
`nobody` (the system's unprivileged user; the files must be reachable for it).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
#: The unprivileged user and group that every Linux has an entry for.
NOBODY = 65534


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _enter_namespace() -> None:
    if _libc().unshare(CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "unshare")
    for name, line in (("setgroups", "deny"), ("uid_map", f"{NOBODY} 0 1"), ("gid_map", f"{NOBODY} 0 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123  # pathlib costs start-up time
            file.write(line)


def _become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def main(argv: list[str]) -> None:
    """Never returns: it becomes the program, or exits with the reason on stderr."""
    parent, death_signal, user, _, *program = argv
    if user == "namespace":
        _enter_namespace()
    elif user == "nobody":
        _become_nobody()
    if sys.platform == "linux":
        # after the change of user, which clears it
        _libc().prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit("the parent ended before its child began")
    # Python ignores SIGPIPE and exec would hand that on
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvp(program[0], program)  # noqa: S606  # no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
