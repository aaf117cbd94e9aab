"""What operators hear of refreshes."""

from __future__ import annotations

from uuid import UUID

from structlog.testing import capture_logs

from common.contracts import RevocationCause
from common.platforms.errors import our_bug, rate_limited, reauthorize, retry_later, unknown_outcome
from common.telemetry import metrics
from oauth_svc.operations.reporting import report

ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)


def counted(provider: str, verdict: str) -> float:
    return metrics.value("wevion_oauth_refreshes_total", {"provider": provider, "class": verdict})


def test_what_needs_an_engineer_is_one_line_for_each_failure() -> None:
    with capture_logs() as lines:
        report(
            [
                ("meta", ONE, our_bug("invalid_client")),
                ("meta", TWO, our_bug("invalid_client")),
                ("acme", THREE, unknown_outcome("spent")),
                ("acme", THREE, retry_later("http_418", unrecognised=True)),
            ]
        )
    told = [
        (line["provider"], line["verdict"], line["failure_code"], line["count"], line["connection_id"])
        for line in lines
    ]
    assert told == [
        ("meta", "our_bug", "invalid_client", 2, str(ONE)),
        ("acme", "unknown_outcome", "spent", 1, str(THREE)),
        ("acme", "retry_later", "http_418", 1, str(THREE)),
    ]


def test_what_people_and_time_mend_is_only_counted() -> None:
    before = counted("tiktok", "retry_later"), counted("tiktok", "reauthorize")
    with capture_logs() as lines:
        report(
            [
                ("tiktok", ONE, retry_later("http_503")),
                ("tiktok", TWO, rate_limited("http_429", retry_after_s=5)),
                ("tiktok", THREE, reauthorize("40105", RevocationCause.USER_REVOKED)),
            ]
        )
    assert lines == []
    assert (counted("tiktok", "retry_later"), counted("tiktok", "reauthorize")) == (before[0] + 1, before[1] + 1)
