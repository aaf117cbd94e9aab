"""One JSON line per event, whoever logs it, and no secret in any of them."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from common.telemetry import logs, tracing
from common.telemetry.sink import SINK, Sink


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, state = list(root.handlers), root.level, dict(logs._state)
    SINK.flush()
    yield
    logs._state.update(state)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(captured: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.splitlines()]


def test_a_line_has_event_fields_service_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("oauth-svc", "json")
    with tracing.span() as span:
        logs.get_logger("refresh").info("connection_refreshed", provider="meta", token_id="019a", attempt=2)
    (line,) = lines(capsys.readouterr().err)
    assert line["event"] == "connection_refreshed"
    assert line["service"] == "oauth-svc"
    assert line["level"] == "info"
    assert line["logger"] == "refresh"
    assert line["trace_id"] == span.trace_id
    assert (line["provider"], line["token_id"], line["attempt"]) == ("meta", "019a", 2)
    assert line["timestamp"].endswith("+00:00")


def test_secrets_do_not_pass(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("x", "json")
    log = logs.get_logger("x")
    log.warning("e", access_token="hunter2", note="Bearer hunter2hunter2", nested={"password": "hunter2"})
    log.warning("e", value=SecretStr("hunter2"), raw=b"hunter2", url="https://a/?code=hunter2")
    log.warning("said Bearer hunter2hunter2")
    assert "hunter2" not in capsys.readouterr().err


def test_an_exception_is_shown_without_its_variables_and_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("x", "json")

    def fail(password: str) -> None:
        raise ValueError(f"no answer for refresh_token={password}")

    value = "hunter2" * 2
    try:
        fail(value)
    except ValueError:
        logs.get_logger("x").exception("refresh_failed")
    (line,) = lines(capsys.readouterr().err)
    assert "ValueError: no answer" in line["exception"]
    assert "hunter2" not in line["exception"]
    assert line["level"] == "error"


def test_libraries_take_the_same_road(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("x", "json")
    logging.getLogger("aiokafka.consumer").warning("cannot %s with %s", "join", "Bearer hunter2hunter2")
    logging.getLogger("aiokafka.consumer").info("chatter")
    logging.getLogger("aiokafka").error("wrong %d", "format")
    error = RuntimeError("Authorization: Bearer " + "hunter2" * 2)
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=error)
    found = lines(capsys.readouterr().err)
    assert [line["event"] for line in found] == ["library_message"] * 3
    assert found[0]["logger"] == "aiokafka.consumer"
    assert found[0]["message"] == "cannot join with Bearer ***"
    assert "hunter2" not in str(found)


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("x", "json", "warning")
    logs.get_logger("x").info("quiet")
    logging.getLogger("anything").info("quiet")
    assert logs.line_format("http_request", {}) is None
    assert capsys.readouterr().err == ""


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown log level 'loud'"):
        logs.configure("x", "json", "loud")


def test_before_it_is_configured_there_are_no_fast_lines() -> None:
    assert logs.line_format("http_request", {}) is None


def test_text_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    logs.configure("x", "auto")
    logs.get_logger("x").info("connection_refreshed", provider="meta", secret="hunter2")
    text = capsys.readouterr().err
    assert "connection_refreshed" in text
    assert "meta" in text
    assert "hunter2" not in text
    assert not text.startswith("{")


def test_a_fast_line_is_a_line_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("x", "json")
    fast = logs.line_format("http_request", {"route": "/a", "status": 200})
    assert fast is not None
    SINK.write(fast(', "duration_ms": 1.5'))
    (line,) = lines(capsys.readouterr().err)
    assert (line["event"], line["route"], line["status"], line["duration_ms"]) == ("http_request", "/a", 200, 1.5)
    assert line["service"] == "x"


async def test_batched_lines_keep_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Sink()
    sink.write_soon("1")
    sink.write_soon("2")
    assert capsys.readouterr().err == ""
    sink.write("3")
    assert capsys.readouterr().err == "1\n2\n3\n"
    for number in range(300):
        sink.write_soon(str(number))
    assert capsys.readouterr().err.splitlines()[-1] == "255"
    sink.flush()
    assert capsys.readouterr().err.splitlines()[-1] == "299"


def test_a_log_that_nobody_can_read_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    Sink().write("x")


def test_what_a_library_repeats_is_written_once_in_a_while_with_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    logs.configure("x", "json")
    logging.getLogger().handlers[:] = [logs._Bridge(now=lambda: now)]
    kafka, server = logging.getLogger("aiokafka"), logging.getLogger("aiohttp.server")
    for node in range(500):
        kafka.error("Unable connect to node with id %s", node)
    kafka.error("Unable to update metadata from %s", [1])
    for error in (ValueError("one"), ValueError("two"), ValueError("one")):
        server.error("Error handling request", exc_info=error)
    now += logs.REPEATED_S
    kafka.error("Unable connect to node with id %s", 7)
    told = [
        (line["message"], line.get("repeated"), "two" in line.get("exception", ""))
        for line in lines(capsys.readouterr().err)
    ]
    assert told == [
        ("Unable connect to node with id 0", None, False),
        ("Unable to update metadata from [1]", None, False),
        ("Error handling request", None, False),
        ("Error handling request", None, True),
        ("Unable connect to node with id 7", 499, False),
    ]
