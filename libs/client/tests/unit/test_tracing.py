"""W3C trace context: what is carried on, and what starts anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

from wevion_tokens.telemetry import tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_parent_is_continued_with_a_span_of_our_own() -> None:
    with tracing.span(PARENT) as span:
        assert span.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert span.span_id != "00f067aa0ba902b7"
        assert tracing.current_traceparent() == span.traceparent
        assert tracing.parse(span.traceparent) is not None
    assert tracing.current_traceparent() is None


def test_without_a_parent_a_trace_begins() -> None:
    with tracing.span() as one:
        with tracing.span() as inner:
            assert inner.trace_id == one.trace_id
        assert tracing.current() == one
    with tracing.span() as two:
        assert two.trace_id != one.trace_id


def test_the_headers_of_a_call_carry_the_context_on() -> None:
    http = tracing.parse(PARENT, "a=1")
    assert http is not None
    assert http.state == "a=1"
    headers = {"x": "y"}
    tracing.inject(headers)
    assert headers == {"x": "y"}
    with tracing.span(http):
        tracing.inject(headers)
        assert headers["tracestate"] == "a=1"
        before = dict(headers)
        tracing.inject(headers)
        assert headers == before


@pytest.mark.parametrize(
    "broken",
    [
        "", "00", PARENT.upper(), PARENT + "-extra", PARENT.replace("00-", "ff-", 1), PARENT[:-1],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        " " + PARENT, PARENT + "\n", "\u0660\u0660-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
)  # fmt: skip
def test_a_broken_parent_is_no_parent(broken: str) -> None:
    assert tracing.parse(broken) is None


def test_a_later_version_is_read_as_the_first() -> None:
    found = tracing.parse(PARENT.replace("00-", "01-", 1) + "-more")
    assert found is not None
    assert found.traceparent == PARENT


def test_an_endless_tracestate_is_dropped() -> None:
    found = tracing.parse(PARENT, "a=" + "x" * 600)
    assert found is not None
    assert found.state is None


def test_a_live_opentelemetry_span_wins() -> None:
    context = trace.SpanContext(
        0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xF067AA0BA902B7, is_remote=False, trace_flags=trace.TraceFlags(1)
    )
    with tracing.span(), trace.use_span(trace.NonRecordingSpan(context)):
        assert tracing.current_traceparent() == PARENT


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = tracing.parse(text)
    assert found is None or tracing.parse(found.traceparent) == found
