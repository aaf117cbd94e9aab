"""Paths and headers at the gateway."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.core.edge import Sender, refusal_of, way_back
from gateway.core.headers import inward, outward, security_headers
from gateway.core.routing import PUBLIC_PREFIXES, RULES, SERVICES, Guard, rule_for


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
        "Client-IP",
        "Connection",
        "Content-Length",
        "Cookie",
        "DPoP",
        "Forwarded",
        "Host",
        "Keep-Alive",
        "Origin",
        "Proxy-Authorization",
        "Remote-User",
        "Stripe-Signature",
        "TE",
        "Traceparent",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Via",
        "X-Anything-New",
        "X-Auth-User",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Http-Method-Override",
        "X-Real-IP",
        "X-SSL-Client-Verify",
        "X-User-Id",
        "X-Wevion-Role",
        "X_Forwarded_For",
    ],
)
def test_only_listed_headers_pass(name: str) -> None:
    assert dict(inward(_headers((name, "wevion_session=x"), ("Accept", "*/*")), proofs=False)) == {"Accept": "*/*"}


def test_header_named_by_connection_does_not_pass() -> None:
    found = inward(_headers(("Connection", "close, Accept"), ("Accept", "1"), ("User-Agent", "2")), proofs=False)

    assert dict(found) == {"User-Agent": "2"}


@pytest.mark.parametrize("name", ["Authorization", "Stripe-Signature", "X-Telegram-Bot-Api-Secret-Token", "DPoP"])
def test_machines_keep_their_proofs(name: str) -> None:
    assert name in inward(_headers((name, "x")), proofs=True)
    assert "Cookie" not in inward(_headers(("Cookie", "wevion_session=x")), proofs=True)


def test_every_public_path_begins_with_a_prefix_that_is_forwarded() -> None:
    assert set(PUBLIC_PREFIXES) == {"/api", "/connect", "/webhooks", "/oauth2", "/.well-known"}


OURS, FURTHER, THEIRS = "https://app.wevion.example", "https://reports.wevion.example", "https://evil.example"


@pytest.mark.parametrize(
    ("method", "path", "origin", "site", "mode", "code"),
    [
        ("POST", "/api/v1/rules/1/pause", OURS, "same-origin", "cors", None),
        ("POST", "/api/v1/rules/1/pause", OURS, "", "", None),
        ("POST", "/api/v1/rules/1/pause", OURS.upper(), "", "", None),
        ("POST", "/api/v1/rules/1/pause", FURTHER, "same-site", "cors", None),
        ("POST", "/api/v1/rules/1/pause", OURS, "same-site", "cors", "cross_site"),
        ("DELETE", "/api/v1/rules/1", OURS, "cross-site", "cors", "cross_site"),
        ("POST", "/api/v1/rules/1/pause", None, "same-origin", "cors", "origin_missing"),
        ("POST", "/api/v1/rules/1/pause", "null", "cross-site", "navigate", "origin_not_allowed"),
        ("POST", "/api/v1/rules/1/pause", THEIRS, "", "", "origin_not_allowed"),
        ("GET", "/api/v1/rules", None, "same-origin", "cors", None),
        ("GET", "/api/v1/rules", None, "none", "navigate", None),
        ("GET", "/api/v1/rules", None, "", "", None),
        ("GET", "/api/v1/rules", None, "cross-site", "navigate", None),
        ("GET", "/api/v1/rules", None, "cross-site", "no-cors", "cross_site"),
        ("HEAD", "/api/v1/auth/session", None, "same-site", "no-cors", "cross_site"),
        ("GET", "/api/v1/rules", FURTHER, "same-site", "cors", None),
        ("GET", "/connect/meta", None, "cross-site", "navigate", None),
        ("POST", "/connect/meta/callback", THEIRS, "cross-site", "navigate", None),
        ("POST", "/connect/taboola", THEIRS, "cross-site", "navigate", "origin_not_allowed"),
        ("POST", "/webhooks/meta", None, "", "", None),
        ("GET", "/.well-known/jwks.json", None, "cross-site", "cors", None),
    ],
)
def test_whose_page_may_call(  # noqa: PLR0917  the columns of the table
    method: str, path: str, origin: str | None, site: str, mode: str, code: str | None
) -> None:
    rule = rule_for(path)
    assert rule is not None
    assert refusal_of(Sender(method, origin, site, mode), rule, OURS, frozenset({FURTHER})) == code


@pytest.mark.parametrize(
    ("going_to", "back"),
    [
        ("/connect/meta?connection_id=1", "/connect/meta?connection_id=1"),
        ("/connect/meta/callback?code=secret&state=secret", "/connect/meta"),
        ("/connect/meta/callback", "/connect/meta"),
    ],
)
def test_no_code_of_a_platform_gets_into_another_address(going_to: str, back: str) -> None:
    assert way_back(going_to) == back


def test_only_session_svc_sets_the_session_cookie() -> None:
    headers = _headers(
        ("Set-Cookie", "wevion_session=x; Path=/"),
        ("Set-Cookie", "__Host-wevion_session=y; Path=/"),
        ("Set-Cookie", "flow=1"),
        ("Server", "x"),
        ("Connection", "close"),
    )

    assert list(outward(headers, owns_session=False).items()) == [("Set-Cookie", "flow=1")]
    assert outward(headers, owns_session=True).getall("Set-Cookie") == [
        "wevion_session=x; Path=/",
        "__Host-wevion_session=y; Path=/",
        "flow=1",
    ]


def test_transport_security_is_for_https_only() -> None:
    assert "Strict-Transport-Security" in security_headers(https=True)
    assert "Strict-Transport-Security" not in security_headers(https=False)
