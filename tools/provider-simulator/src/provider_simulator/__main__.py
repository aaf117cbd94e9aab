"""`provider-simulator run`."""

from __future__ import annotations

import asyncio
import logging
import sys

from provider_simulator import app, settings


def main(argv: list[str] | None = None) -> int:
    chosen = settings.parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    try:
        asyncio.run(app.run(chosen))
    except OSError as error:
        # A taken port is by far the likeliest; one line instead of a stack.
        print(f"provider-simulator: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
