"""What others rely on: events that match their schema, an API document that is valid, and one door for state."""

import ast
from pathlib import Path
from typing import Any, cast

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import session_svc
from common.runtime.clock import SystemClock
from common.web import Access, Audience, Route
from common.web.openapi import build
from session_svc import http
from session_svc.core.keys import Schedule
from session_svc.operations.deps import Deps

SOURCE = Path(session_svc.__file__).parent
MEMBER = Path(__file__).parents[2]


class _Keys:
    schedule = Schedule()


def _routes() -> list[Route]:
    deps = cast("Any", Deps)(
        pool=None,
        keys=_Keys(),
        key_encryption=None,
        hasher=None,
        issuer="https://x",
        audience="wevion",
        public_url="https://x",
    )
    return [route for table in http.routes(deps, http.Edge(secure=True), SystemClock()) for route in table]


def test_api_document_is_valid_openapi() -> None:
    document = build(_routes(), title="session-svc", version="1")

    OpenAPIV31SpecValidator(cast("Any", document)).validate()


def test_refusals_of_oauth_endpoints_are_described_as_they_are() -> None:
    document = build(_routes(), title="session-svc", version="1")
    for path in ("/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"):
        responses = document["paths"][path]["post"]["responses"]
        assert list(responses["401"]["content"]) == ["application/json"], "RFC 6749, section 5.2"
        assert responses["default"] == {"$ref": "#/components/responses/OAuthError"}
    schema = document["components"]["schemas"]["OAuthProblemDocument"]
    assert {"error", "error_description"} <= set(schema["required"])
    assert list(document["paths"]["/api/v1/auth/sign-in"]["post"]["responses"]["401"]["content"]) == [
        "application/problem+json"
    ]


def test_paths_are_those_of_the_design() -> None:
    found = {(route.method, route.path) for route in _routes()}

    for method, path in (
        ("POST", "/api/v1/auth/sign-in"),
        ("GET", "/api/v1/auth/token"),
        ("POST", "/api/v1/auth/token"),
        ("GET", "/api/v1/auth/session"),
        ("POST", "/api/v1/auth/sign-out"),
        ("GET", "/api/v1/auth/sessions"),
        ("DELETE", "/api/v1/auth/sessions/{id}"),
        ("POST", "/api/v1/auth/password"),
        ("POST", "/api/v1/auth/password-reset"),
        ("POST", "/api/v1/auth/password-reset/confirm"),
        ("GET", "/api/v1/admin/users"),
        ("POST", "/api/v1/admin/users"),
        ("POST", "/api/v1/admin/users/{id}/force-logout"),
        ("POST", "/api/v1/admin/workspaces/{id}/force-logout"),
        ("DELETE", "/api/v1/admin/sessions/{id}"),
        ("POST", "/api/v1/admin/impersonations"),
        ("DELETE", "/api/v1/admin/impersonations/current"),
        ("GET", "/api/v1/admin/audit"),
        ("GET", "/.well-known/jwks.json"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("POST", "/oauth2/token"),
        ("POST", "/oauth2/introspect"),
        ("POST", "/oauth2/revoke"),
    ):
        assert (method, path) in found


ACT_MAY = {
    ("GET", "/api/v1/auth/sessions"),  # the admin sees what the user would see
    ("GET", "/api/v1/people"),
    ("DELETE", "/api/v1/admin/impersonations/current"),
}


@pytest.mark.parametrize("route", _routes(), ids=lambda route: f"{route.method} {route.path}")
def test_every_route_refuses_act_unless_listed(route: Route) -> None:
    access: Access = route.access
    if access.audience in {Audience.USER, Audience.USER_OR_SERVICE}:
        assert access.refuse_act is ((route.method, route.path) not in ACT_MAY)


def test_state_has_one_door() -> None:
    """Whoever adds a way to end a session goes through `operations.state`, and so cannot forget the event."""
    writers = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"sessions.save", "sessions.insert", "enqueue"}:
                writers.add(path.relative_to(SOURCE).as_posix())
    assert writers == {"operations/state.py"}


def test_status_is_written_by_two_statements_only() -> None:
    text = (SOURCE / "store" / "sessions.py").read_text()

    assert text.count("status = c.status") == 1
    assert text.count("INSERT INTO sessions") == 1
    for path in (SOURCE / "store").glob("*.py"):
        if path.name != "sessions.py":
            assert "UPDATE sessions" not in path.read_text()


def test_readme_shows_the_example_that_runs() -> None:
    example = (MEMBER / "tests" / "examples" / "backend_service.py").read_text().strip()

    assert example in (MEMBER / "README.md").read_text()
