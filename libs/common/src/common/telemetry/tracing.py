"""The W3C trace context, which the client package carries on as well."""

from wevion_tokens.telemetry.tracing import (
    TRACEPARENT,
    TRACESTATE,
    TraceContext,
    begin,
    current,
    current_trace_id,
    current_traceparent,
    inject,
    new_root,
    parse,
    span,
)

__all__ = [
    "TRACEPARENT",
    "TRACESTATE",
    "TraceContext",
    "begin",
    "current",
    "current_trace_id",
    "current_traceparent",
    "inject",
    "new_root",
    "parse",
    "span",
]
