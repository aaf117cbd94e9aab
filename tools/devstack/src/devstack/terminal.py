"""What `make run` and `make demo` print: a line per step, plain enough for a log file."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from common.runtime.clock import monotonic
from common.telemetry import logs

Say = Callable[[str], None]

DETAIL_COLUMN = 34


def say(text: str = "") -> None:
    """One line, at once (a pipe would hold it back)."""
    print(text, flush=True)


def only_ours() -> None:
    """Keeps libraries' warnings about servers that come and go out of a story for people."""
    logs.configure("devstack", "console", "critical")


def quiet(_text: str = "") -> None:
    """Says nothing."""


class Steps:
    """Numbers nothing, times everything: `✓ PostgreSQL 18.6   127.0.0.1:5433   0.3 s`."""

    def __init__(self, out: Say) -> None:
        self.say = out
        self._began = monotonic()

    @property
    def elapsed_s(self) -> float:
        return monotonic() - self._began

    @contextmanager
    def step(self, what: str, detail: str = "") -> "Iterator[Detail]":
        """Prints the line when the block is done, or the same line as failed when it raises."""
        began = monotonic()
        said = Detail(detail)
        try:
            yield said
        except BaseException:
            self.say(f"  {paint('✗', 31)} {what}")
            raise
        self.line(what, said.text, monotonic() - began)

    def line(self, what: str, detail: str, seconds: float) -> None:
        self.say(f"  {paint('✓', 32)} {what:<{DETAIL_COLUMN}} {detail:<40} {seconds:5.1f} s")


class Detail:
    """The middle of a step's line; a block may learn it as it goes."""

    def __init__(self, text: str) -> None:
        self.text = text


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Left-aligned columns, as wide as they need to be."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def paint(text: str, colour: int) -> str:
    """ANSI colour on a terminal, plain text elsewhere."""
    return f"\x1b[{colour}m{text}\x1b[0m" if sys.stdout.isatty() else text
