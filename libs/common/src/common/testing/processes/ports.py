"""Choosing TCP ports on loopback."""

import socket

LOOPBACK = "127.0.0.1"


def port_is_free(port: int) -> bool:
    """True if a server could listen there now. Nothing keeps it so: the child's own bind is the truth."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as servers do: a port whose last connections are in TIME_WAIT is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_port(preferred: int = 0) -> int:
    """Return the preferred port if it is free, else one that the system gives."""
    if preferred and port_is_free(preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
