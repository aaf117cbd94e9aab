"""Structured logs: a stable `event` name, fields, the service and the trace. JSON, or text on a terminal.

Library messages (aiohttp, aiokafka) take the same road, as event `library_message`. Every field passes the
redaction, whoever wrote it.
"""

import json
import logging
import sys
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from common.runtime.clock import SystemClock, monotonic
from common.telemetry import tracing
from common.telemetry.redaction import redact, redact_text
from common.telemetry.sink import SINK
from wevion_tokens.telemetry.logs import FIELDS

Format = Literal["auto", "json", "console"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
# Chatty at INFO about every poll, rebalance and request; what they say at WARNING is worth reading.
_QUIET_LIBRARIES = ("aiohttp", "aiokafka", "aiogram", "asyncio", "kafka")
REPEATED_S = 10.0
DIFFERENT = 1000
"""So many different messages of libraries are remembered."""
_SILENT = 100  # until `configure` was called: a program that never did wants no lines
_UNTOUCHED = frozenset({"timestamp", "level", "event", "logger", "service", "trace_id"})

_clock = SystemClock()
_state: dict[str, Any] = {"service": "unknown", "json": True, "threshold": _SILENT}


def configure(service: str, fmt: Format = "auto", level: str = "info") -> None:
    """Set up logging for the process. Calling it again replaces the set-up.

    `auto` is text when standard error is a terminal, JSON otherwise. Raises ValueError for an unknown level.
    """
    threshold = _LEVELS.get(level.lower())
    if threshold is None:
        raise ValueError(f"unknown log level {level!r}; one of {', '.join(_LEVELS)}")
    as_json = fmt == "json" or (fmt == "auto" and not sys.stderr.isatty())
    _state.update(service=service, json=as_json, threshold=threshold)
    renderer = (
        _render_json
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _describe, _redact, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=_SinkLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(threshold)
    for name in _QUIET_LIBRARIES:
        library = logging.getLogger(name)
        library.handlers[:] = []
        library.propagate = True
        library.setLevel(max(threshold, logging.WARNING))
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a logger. The first argument of its methods is the event's fixed name, such as `refresh_failed`."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def line_format(event: str, fields: dict[str, Any]) -> Callable[[str], str] | None:
    """For INFO lines that are written thousands of times a second; None when INFO is not written.

    `fields` are constant and clean. What the function takes are further JSON members, starting with a comma, which
    are the caller's to keep clean; on a terminal they are shown as they are.
    """
    if _state["threshold"] > _LEVELS["info"]:
        return None
    now = _clock.now
    if _state["json"]:
        fixed = json.dumps({"level": "info", "event": event, "service": _state["service"], **fields})[1:-1]
        return lambda members: f'{{"timestamp": "{now().isoformat()}", {fixed}{members}}}'
    text = " ".join(f"{name}={value}" for name, value in fields.items())
    return lambda members: f"{now().isoformat()} [info     ] {event:<30} {text}{members}"


class _SinkLogger:
    """What structlog writes to, at the end of its chain."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, message: str) -> None:
        SINK.write(message)

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = err = msg


def _describe(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    event["timestamp"] = _clock.now().isoformat()
    event["level"] = "error" if method == "exception" else method
    event["service"] = _state["service"]
    if name := getattr(logger, "name", ""):
        event["logger"] = name
    trace_id = tracing.current_trace_id()
    if trace_id is not None:
        event["trace_id"] = trace_id
    error = event.pop("exc_info", None)
    if error:
        event["exception"] = _stack(error)
    return event


def _redact(_: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: value if key in _UNTOUCHED else redact(value, key) for key, value in event.items()}


def _render_json(_: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    first["event"] = redact_text(str(first.get("event", "")))
    return json.dumps(first | dict(event), default=str, ensure_ascii=False)


def _stack(error: Any) -> str:
    """Return the traceback without the frames' local variables: those hold what must not be written."""
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    return "".join(traceback.format_exception(error)).rstrip() if isinstance(error, BaseException) else ""


class _Bridge(logging.Handler):
    """Hands a library's log record to our chain.

    What a library says again and again (aiokafka, while a broker is away) is written once in `REPEATED_S`, with how
    often it was said since. It is the same if its template is, and its exception.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._now = now
        self._said: dict[tuple[str, ...], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if (ours := getattr(record, FIELDS, None)) is not None:
            event, fields = ours
            self._hand_over(record, event, fields)
            return
        repeated = self._repeated(record)
        if repeated is None:
            return
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit the format: say what there is
            message = str(record.msg)
        more = {"repeated": repeated} if repeated else {}
        self._hand_over(record, "library_message", {"message": message, **more})

    def _hand_over(self, record: logging.LogRecord, event: str, fields: dict[str, Any]) -> None:
        log = structlog.get_logger(record.name)
        method = next((name for name, at in reversed(_LEVELS.items()) if record.levelno >= at), "debug")
        try:
            getattr(log, method)(event, exc_info=record.exc_info or None, **fields)
        except Exception:  # noqa: BLE001  logging must not raise into the library that logs
            self.handleError(record)

    def _repeated(self, record: logging.LogRecord) -> int | None:
        """Return how often it was said since it was last written; None: it is not to be written now."""
        error = record.exc_info[1] if record.exc_info else None
        key = (record.name, record.levelname, str(record.msg), repr(error) if error else "")
        now = self._now()
        written_at, count = self._said.get(key, (-REPEATED_S, 0))
        if now - written_at < REPEATED_S:
            self._said[key] = (written_at, count + 1)
            return None
        if len(self._said) >= DIFFERENT:
            self._said.clear()
        self._said[key] = (now, 0)
        return count
