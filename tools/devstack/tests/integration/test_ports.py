"""Two stacks on one machine do not take each other's ports, even when they start at the same moment."""

import socket
from pathlib import Path

from devstack import ports


def test_a_second_stack_moves_and_says_where(tmp_path: Path) -> None:
    with ports.reserved(["oauth-svc#2"], tmp_path) as first, ports.reserved((), tmp_path) as second:
        assert not set(first.by_name.values()) & set(second.by_name.values())
        assert len(set(first.by_name.values())) == len(first.by_name)
        moved = {name: (default, chosen) for name, default, chosen in second.moved}
        assert set(moved) == set(ports.DEFAULTS)
        assert all((chosen - default) % ports.STEP == 0 for default, chosen in moved.values())


def test_ports_are_free_again_after_the_block(tmp_path: Path) -> None:
    with ports.reserved((), tmp_path) as first:
        pass
    with ports.reserved((), tmp_path) as second:
        assert first == second


def test_a_port_that_another_program_has_is_passed_over(tmp_path: Path) -> None:
    with ports.reserved((), tmp_path) as free:
        wanted = free["gateway"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", wanted))
        other.listen()
        with ports.reserved((), tmp_path) as chosen:
            assert chosen["gateway"] == wanted + ports.STEP
