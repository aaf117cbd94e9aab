"""Paths and headers at the gateway."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.core.headers import inward, other_cookies, outward, security_headers, session_cookie
from gateway.core.routing import RULES, SERVICES, Guard, rule_for


@pytest.mark.parametrize(
    ("path", "service", "guard"),
    [
        ("/api/v1/auth/sign-in", "session-svc", Guard.COOKIE),
        ("/api/v1/auth/session", "session-svc", Guard.COOKIE),
        ("/api/v1/auth/sessions", "session-svc", Guard.JWT),
        ("/api/v1/auth/password", "session-svc", Guard.JWT),
        ("/api/v1/auth/password-reset/confirm", "session-svc", Guard.COOKIE),
        ("/api/v1/admin/users/1/force-logout", "session-svc", Guard.JWT),
        ("/api/v1/connections", "oauth-svc", Guard.JWT),
        ("/api/v1/accounts/1/verify", "oauth-svc", Guard.JWT),
        ("/api/v1/tokens/diagnose", "expiry-watcher", Guard.JWT),
        ("/api/v1/rules/1", "rule-pauser", Guard.JWT),
        ("/api/v1/telegram/link", "notifier", Guard.JWT),
        ("/api/v1/notification-preferences", "notifier", Guard.JWT),
        ("/api/v1/notification-preferences/unsubscribe", "notifier", Guard.OPEN),
        ("/api/v1/notification-preferences/unsubscribed", "notifier", Guard.JWT),
        ("/connect/meta", "oauth-svc", Guard.PAGE),
        ("/webhooks/meta", "oauth-svc", Guard.OPEN),
        ("/webhooks/telegram", "notifier", Guard.OPEN),
        ("/oauth2/token", "session-svc", Guard.OPEN),
    ],
)
def test_paths_lead_to_their_service(path: str, service: str, guard: Guard) -> None:
    rule = rule_for(path)

    assert rule is not None
    assert (rule.service, rule.guard) == (service, guard)


@pytest.mark.parametrize(
    "path", ["/api/v1/messages", "/api/v1/authx", "/connectx", "/metrics", "/api", "/openapi.json"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert rule_for(path) is None


def test_callback_by_form_post_comes_from_the_provider() -> None:
    callback, start = rule_for("/connect/meta/callback"), rule_for("/connect/meta")

    assert callback is not None
    assert start is not None
    assert not callback.check_origin
    assert start.check_origin


def test_only_machine_paths_are_without_origin_check() -> None:
    assert all(rule.guard is Guard.OPEN for rule in RULES if not rule.check_origin)
    assert {rule.service for rule in RULES} == set(SERVICES)


def _headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Connection",
        "Content-Length",
        "Cookie",
        "Forwarded",
        "Host",
        "Keep-Alive",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Via",
        "X-Auth-User",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Real-IP",
        "X-User-Id",
        "X-Wevion-Role",
        "X_Forwarded_For",
    ],
)
def test_header_that_would_be_believed_does_not_pass(name: str) -> None:
    assert dict(inward(_headers((name, "wevion_session=x"), ("Accept", "*/*")), keep_authorization=False)) == {
        "Accept": "*/*"
    }


def test_header_named_by_connection_does_not_pass() -> None:
    found = inward(_headers(("Connection", "close, X-Odd"), ("X-Odd", "1"), ("X-Fine", "2")), keep_authorization=False)

    assert dict(found) == {"X-Fine": "2"}


def test_machines_keep_their_authorization() -> None:
    assert "Authorization" in inward(_headers(("Authorization", "Basic x")), keep_authorization=True)


def test_session_cookie_stays_and_others_pass() -> None:
    values = ["a=1; wevion_session=secret; b=2", "c=3"]

    assert session_cookie(values) == "secret"
    assert other_cookies(values) == "a=1; b=2; c=3"
    assert session_cookie(["a=1"]) is None
    passed = inward(_headers(("Cookie", values[0])), keep_authorization=False)
    assert passed["Cookie"] == "a=1; b=2"


def test_only_session_svc_sets_the_session_cookie() -> None:
    headers = _headers(
        ("Set-Cookie", "wevion_session=x; Path=/"), ("Set-Cookie", "flow=1"), ("Server", "x"), ("Connection", "close")
    )

    assert list(outward(headers, owns_session=False).items()) == [("Set-Cookie", "flow=1")]
    assert outward(headers, owns_session=True).getall("Set-Cookie") == ["wevion_session=x; Path=/", "flow=1"]


def test_transport_security_is_for_https_only() -> None:
    assert "Strict-Transport-Security" in security_headers(https=True)
    assert "Strict-Transport-Security" not in security_headers(https=False)
