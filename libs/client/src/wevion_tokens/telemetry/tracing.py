"""W3C trace context (https://www.w3.org/TR/trace-context/) in and out of HTTP and Kafka headers.

The context travels in a context variable. Where an OpenTelemetry SDK is set up, its current span wins, so that both
tell the same story. Broken headers start a new trace; they are never an error.
"""

import re
import secrets
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

try:
    from opentelemetry import trace
except ImportError:  # a program without it has no spans of its own
    trace = None  # type: ignore[assignment]

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

_SHAPE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_LONGEST_STATE = 512  # characters; the recommendation asks to carry at least this much


class TraceContext(NamedTuple):
    """Where we are in a trace: its id and the present span, in lower-case hex as on the wire."""

    trace_id: str
    span_id: str
    flags: str = "01"
    state: str | None = None

    @property
    def traceparent(self) -> str:
        """Return the header's value."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    def child(self) -> "TraceContext":
        """Return a new span of the same trace."""
        return TraceContext(self.trace_id, secrets.token_hex(8), self.flags, self.state)


_current: ContextVar[TraceContext | None] = ContextVar("trace_context", default=None)


def new_root() -> TraceContext:
    """Return the start of a trace."""
    digits = secrets.token_hex(24)
    return TraceContext(digits[:32], digits[32:])


def parse(traceparent: str | None, state: str | None = None) -> TraceContext | None:
    """Return the context of a `traceparent`, or None if there is none or it breaks the recommendation's rules."""
    if traceparent is None:
        return None
    match = _SHAPE.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    # Version ff is forbidden; 00 has exactly four fields; later versions may add some, and are read as 00.
    if version == "ff" or (version == "00" and rest) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceContext(trace_id, span_id, flags, state if state and len(state) <= _LONGEST_STATE else None)


def begin(parent: TraceContext | None) -> TraceContext:
    """Enter a span below `parent`, or a new trace, for the rest of this task (such as one request)."""
    context = parent.child() if parent is not None else new_root()
    _current.set(context)
    return context


@contextmanager
def span(parent: TraceContext | str | None = None) -> Iterator[TraceContext]:
    """Enter a span below `parent` (a context or a traceparent), else below the present span or as a new trace."""
    if isinstance(parent, str):
        parent = parse(parent)
    above = parent or current()
    context = above.child() if above is not None else new_root()
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def current() -> TraceContext | None:
    """Return the present context: OpenTelemetry's span if one is live, else ours."""
    live = trace.get_current_span().get_span_context() if trace is not None else None
    if live is not None and live.is_valid:
        state = live.trace_state.to_header() or None
        return TraceContext(f"{live.trace_id:032x}", f"{live.span_id:016x}", f"{int(live.trace_flags):02x}", state)
    return _current.get()


def current_trace_id() -> str | None:
    """Return the present trace's id, for logs and problem documents."""
    context = current()
    return context.trace_id if context is not None else None


def current_traceparent() -> str | None:
    """Return the header value for the next hop, or None outside of any trace."""
    context = current()
    return context.traceparent if context is not None else None


def inject(headers: MutableMapping[str, str]) -> None:
    """Add the present context to the headers of an outgoing HTTP call, unless they have one already."""
    context = current()
    if context is not None and TRACEPARENT not in headers:
        headers[TRACEPARENT] = context.traceparent
        if context.state:
            headers[TRACESTATE] = context.state
