"""What the command line says."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Port 0 takes a free port. `state_file` None: everything is forgotten at the end."""

    host: str = "127.0.0.1"
    port: int = 9100
    control_port: int = 9101
    smtp_port: int = 9125
    public_url: str = "http://127.0.0.1:8080"
    seed: int = 1
    state_file: Path | None = None


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="provider-simulator", description="The platforms as they really behave, and a mailbox."
    )
    verbs = top.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="serve the platforms, the control API and the mailbox until Ctrl-C")
    d = Settings()
    run.add_argument("--host", default=d.host, help="address to listen on (default %(default)s)")
    run.add_argument("--port", type=int, default=d.port, help="platforms (default %(default)s, 0 = free)")
    run.add_argument(
        "--control-port", type=int, default=d.control_port, help="/_sim and /mailbox (default %(default)s)"
    )
    run.add_argument("--smtp-port", type=int, default=d.smtp_port, help="mail in (default %(default)s)")
    run.add_argument(
        "--public-url",
        default=d.public_url,
        help="where browsers reach the product: the seeded apps' redirect URIs and webhooks (default %(default)s)",
    )
    run.add_argument("--seed", type=int, default=d.seed, help="of tokens, ids and chance (default %(default)s)")
    run.add_argument("--state-file", type=Path, default=None, help="keep grants, people, apps, mail over restarts")
    return top


def parse(argv: list[str] | None = None) -> Settings:
    found = parser().parse_args(argv)
    return Settings(
        host=found.host,
        port=found.port,
        control_port=found.control_port,
        smtp_port=found.smtp_port,
        public_url=found.public_url.rstrip("/"),
        seed=found.seed,
        state_file=found.state_file,
    )
