"""Where log lines go: standard error, in order, one line each."""

import asyncio
import atexit
import sys

_FLUSH_AFTER_S = 0.05  # an access line may wait this long, so that a busy server writes once for many requests
_FLUSH_AT_LINES = 256


class Sink:
    """Writes lines to whatever `sys.stderr` is at that moment. `write` is immediate, `write_soon` is batched."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def write(self, line: str) -> None:
        """Write now, after whatever waits."""
        if self._waiting:
            self._waiting.append(line)
            self.flush()
        else:
            _put(line + "\n")

    def write_soon(self, line: str) -> None:
        """Write within `_FLUSH_AFTER_S`. Needs a running loop; lines that wait are lost if the process is killed."""
        self._waiting.append(line)
        if len(self._waiting) >= _FLUSH_AT_LINES:
            self.flush()
            return
        loop = asyncio.get_running_loop()
        if self._timer is None or self._loop is not loop:  # a timer of a loop that has ended never fires
            self._loop, self._timer = loop, loop.call_later(_FLUSH_AFTER_S, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            lines, self._waiting = self._waiting, []
            lines.append("")
            _put("\n".join(lines))


def _put(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):  # the reader has gone or the stream is closed: a log must not end the work
        return


SINK = Sink()
atexit.register(SINK.flush)
