"""Log lines as people read them."""

import json
from pathlib import Path

import pytest

from common.testing.processes import ChildFailedError
from devstack import logbook
from devstack.layout import Layout


def test_a_json_line_becomes_a_sentence() -> None:
    line = json.dumps(
        {"timestamp": "2026-11-23T16:49:19.546910+00:00", "level": "info", "event": "listening", "url": "http://x"}
    )
    assert logbook.readable("notifier", line) == "16:49:19.546 notifier       listening url=http://x"


def test_probes_are_left_out() -> None:
    assert logbook.readable("notifier", json.dumps({"event": "http_request", "route": "/readyz"})) is None


@pytest.mark.parametrize("text", ["Traceback (most recent call last):", "[1, 2]", "{broken"])
def test_what_is_not_an_entry_is_shown_as_it_is(text: str) -> None:
    assert logbook.readable("kafka", text) == f"kafka          {text}"


def test_a_part_is_found_with_its_replicas_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.logs.mkdir()
    for name in ("oauth-svc", "oauth-svc#2", "notifier"):
        (layout.logs / f"{name}.log").touch()
    assert [file.stem for file in logbook.files(layout, "oauth-svc")] == ["oauth-svc", "oauth-svc#2"]
    assert len(logbook.files(layout, None)) == 3
    with pytest.raises(ChildFailedError, match=r"no logs of oauth in .*; there are: notifier, oauth-svc"):
        logbook.files(layout, "oauth")
