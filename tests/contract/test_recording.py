"""A recording is a file that the suite runs, and holds nobody's secret and nobody's name."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oauth_svc.providers.base import Callback
from oauth_svc.providers.wire import Answer, Request

from .recording import Recorder, Scrubber, write
from .replaying import CLIENT_ID, Row, fits, outcome, provider_of, read_rows

TOKEN, LONGER = "EAAGm0PX4ZCpsBAKZCxyz1234567890abcdefGHIJ", "EAAGm0PX4ZCpsBALongLived0987654321zyxwvuTSRQ"
PEOPLE = ("Mia Berg", "mia.berg@agency.example", "10204567891234567", "Northwind Germany")
SAID = {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190, "fbtrace_id": "AbCdEf"}
DEAD = {"error": SAID}


@dataclass
class Meta:
    """Stands where Meta is, and answers as its documents show."""

    ended: bool = False
    used: bool = False
    asked: list[str] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        path = request.url.partition("/v26.0")[2]
        self.asked.append(f"{request.method} {path}")
        status, body = self.answer(request.method, path, dict(request.query))
        return Answer(status, {"x-fb-debug": "abc", "x-app-usage": '{"call_count":1}'}, json.dumps(body).encode())

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, Any]:  # noqa: PLR0911
        if path == "/oauth/access_token" and "code" in query:
            if self.used:
                return 400, {"error": SAID | {"code": 100, "error_subcode": 36009}}
            self.used = True
            return 200, {"access_token": TOKEN, "token_type": "bearer", "expires_in": 5183944}
        token = query.get("fb_exchange_token") or query.get("input_token") or query["access_token"]
        if self.ended or token.endswith("AAAA"):
            return (200, {"data": {"is_valid": False, **DEAD}}) if path == "/debug_token" else (400, DEAD)
        if method == "DELETE":
            self.ended = True
            return 200, {"success": True}
        if path == "/debug_token":
            data = {"app_id": CLIENT_ID, "is_valid": True, "user_id": PEOPLE[2], "expires_at": 1800000000}
            return 200, {"data": data | {"scopes": ["ads_read"], "note": f"{PEOPLE[1]} gave it"}}
        if path == "/me/adaccounts":
            return 200, {"data": [{"id": "act_556677889900", "name": PEOPLE[3], "owner_name": PEOPLE[0]}]}
        return 200, {"access_token": LONGER, "token_type": "bearer", "expires_in": 5183944}


async def test_every_call_is_made_once_and_the_suite_runs_what_was_answered(tmp_path: Path) -> None:
    provider, platform = provider_of("meta"), Meta()
    provider._wire = platform  # type: ignore[attr-defined]
    recorder = Recorder(provider, "2026-12-01")
    callback = Callback(query={"code": "AQDsecretcode123"}, redirect_uri="http://127.0.0.1:8080/connect/meta/callback")
    for secret, name in (("AQDsecretcode123", "code"), ("sk_live_s", "secret"), (CLIENT_ID, CLIENT_ID)):
        recorder.scrub.secret(secret, name)

    async def exchange() -> Any:
        return await provider.exchange(callback, datetime.now(UTC))

    await recorder.everything(exchange, exchange)
    write(recorder.rows, file := tmp_path / "recorded-meta.jsonl")
    text = file.read_text()
    for private in (TOKEN, LONGER, TOKEN[:-4], "AQDsecretcode123", "sk_live_s", "556677889900", *PEOPLE):
        assert private not in text
    assert '"expires_in": 5183944' in text
    rows = read_rows([file])
    assert [row.context for row in rows] == [
        "exchange",
        "inspect",
        "accounts",
        "inspect (spoilt token)",
        "refresh (spoilt token)",
        "refresh",
        "exchange (code twice)",
        "revoke",
        "inspect (after the disconnect)",
        "refresh (after the disconnect)",
    ]
    assert [row.expected for row in rows if row.call == "accounts"] == ["ok: 1 usable=1"]
    for row in rows:
        found, _ = await outcome(row)
        assert any(fits(found, wanted, row) for wanted in row.wanted), (row, found)
    assert platform.asked.count("DELETE /me/permissions") == 1


def test_the_same_person_has_the_same_name_everywhere() -> None:
    scrub = Scrubber()
    scrub.secret("s3cr3t-value", "client-secret")
    cleaned = scrub.clean(
        {
            "name": "Mia",
            "list": [{"displayName": "Mia"}, {"displayName": "Ben"}],
            "error_description": "s3cr3t-value was refused for mia@x.example and user 123456789",
            "id": 123456789,
            "error_code": "E1001",
            "expires_in": 5183944,
            "type": "OAuthException",
            "scope": "https://www.googleapis.com/auth/adwords",
        }
    )
    assert cleaned["name"] == cleaned["list"][0]["displayName"] != cleaned["list"][1]["displayName"]
    assert str(cleaned["id"]) in cleaned["error_description"]
    assert "client-secret was refused for person" in cleaned["error_description"]
    assert (cleaned["error_code"], cleaned["expires_in"], cleaned["type"]) == ("E1001", 5183944, "OAuthException")
    assert cleaned["scope"] == "https://www.googleapis.com/auth/adwords"
    assert isinstance(Row("", "x", "judge", cleaned, "none"), Row)
