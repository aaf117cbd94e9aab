"""Recorded answers through the same code as production: a wire replays them, and each provider reads them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.platforms.errors import Call, Failure
from oauth_svc.core.connection import Listing
from oauth_svc.core.grant import Secrets, TokenAnswer
from oauth_svc.providers.base import Callback, Inspection, PlatformError, Provider
from oauth_svc.providers.builtin import BUILTIN
from oauth_svc.providers.registry import ProvidersFile, build_providers
from oauth_svc.providers.wire import Answer, NoAnswerError, Request

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SECRETS = Secrets("at", "rt", {"client_id": "c", "client_secret": "s", "username": "u@x.example", "password": "p"})
CALLBACK = Callback(query={"code": "c", "auth_code": "c"}, redirect_uri="https://wevion.example/cb", verifier="v")


@dataclass(slots=True)
class Row:
    """One answer of a platform with what it must mean (`expected`: one or several that are right)."""

    id: str
    provider: str
    context: str
    body: Any
    expected: str | list[str]
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    shape: str = ""
    why: str = ""

    @property
    def call(self) -> str:
        """The first word of the context, such as judge, refresh, accounts."""
        return self.context.split(maxsplit=1)[0]

    @property
    def wanted(self) -> list[str]:
        return [self.expected] if isinstance(self.expected, str) else list(self.expected)

    def answer(self, url: str = "") -> Answer:
        """The answer to a call of `url`. A body whose names are parts of addresses holds one answer for each."""
        status, body = self.status or 200, self.body
        if _by_address(body):
            part = next((body[name] for name in body if name in url), {"unexpected": url})
            if "pageToken=" in url and isinstance(part, dict) and "nextPageToken" in part:
                part = _page_after(part)
            failed = "error" in part or part.get("request_status") == "ERROR" if isinstance(part, dict) else False
            status, body = (max(status, 403) if failed else 200), part
        if isinstance(body, str) and body.startswith("(generated"):
            many = int(self.wanted[0].removeprefix("ok:").split()[0])
            body = {"results": [_customer(number) for number in range(many)]}
        text = body if isinstance(body, str) else json.dumps(body)
        return Answer(status, {name.lower(): value for name, value in self.headers.items()}, text.encode())


def read_rows(paths: Iterable[Path]) -> list[Row]:
    """The rows of answer files: JSON Lines. Names that a row has beside ours are somebody's notes."""
    known = {each.name for each in fields(Row)}
    return [
        Row(**{name: value for name, value in json.loads(line).items() if name in known})
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


def _customer(number: int) -> dict[str, Any]:
    return {"customerClient": {"id": str(1000000000 + number), "descriptiveName": f"Client {number}", "level": "1"}}


def _page_after(page: dict[str, Any]) -> dict[str, Any]:
    """The last page after one that names a next: as long, with other customers."""
    later = json.loads(json.dumps(page["results"]))
    for item in later:
        item["customerClient"]["id"] = str(int(item["customerClient"]["id"]) + len(later))
    return {"results": later}


def _by_address(body: Any) -> bool:
    names = ("/", "listAccessibleCustomers", "deauthorize")
    return isinstance(body, dict) and any(part in name for name in body for part in names)


@dataclass(slots=True)
class Replay:
    """Stands where the network is: answers from the row, and counts the calls."""

    row: Row
    calls: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        self.calls.append(request)
        if len(self.calls) > 50:
            raise NoAnswerError("endless", sent=True)
        page = f"pageToken={request.json['pageToken']}" if request.json and "pageToken" in request.json else ""
        return self.row.answer(f"{request.url}?{request.query}&{page}")


CLIENT_ID, SECRET, WEBHOOK_SECRET = "138483919580948", "sk_live_s", "whsec_w"
SIBLING = "sibling.apps.googleusercontent.example"


def provider_of(name: str) -> Provider:
    """A provider as settings make it, built in or not."""
    settings: dict[str, Any] = {
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "webhook_secret": WEBHOOK_SECRET,
        "webhook_audiences": [SIBLING],
    }
    if name not in BUILTIN:
        settings |= {"authorize_url": "https://a.example/a", "token_url": "https://a.example/t"}
        settings |= {"rotation": "single_use"}
    return build_providers(ProvidersFile.model_validate({"providers": {name: settings}}))[name]


Outcome = Failure | TokenAnswer | Inspection | Listing | None


async def outcome(row: Row) -> tuple[Outcome, int]:
    """What the provider makes of the row, and how many calls it made."""
    provider = provider_of(row.provider)
    wire = Replay(row)
    provider._wire = wire  # type: ignore[attr-defined]  # the one thing that is not production
    try:
        return await _called(provider, row), len(wire.calls)
    except PlatformError as error:
        return error.failure, len(wire.calls)


async def _called(provider: Provider, row: Row) -> Outcome:  # noqa: PLR0911 - one return per call
    match row.call:
        case "refresh":
            return await provider.refresh(SECRETS, NOW)
        case "exchange":
            return await provider.exchange(CALLBACK, NOW)
        case "login":
            return await provider.login(SECRETS.credentials, NOW)
        case "inspect":
            return await provider.inspect(SECRETS, NOW)
        case "accounts":
            return await provider.accounts(SECRETS)
        case "revoke":
            await provider.revoke(SECRETS)
            return None
        case _:
            return provider.judge(row.answer(), Call.API)


def described(found: Outcome, row: Row) -> str:
    """The outcome in the words of `expected`."""
    match found:
        case Failure():
            why = "ran_out" if found.ran_out else found.cause.value if found.cause else "not_stated"
            return f"{found.verdict.value}/{why}" if found.verdict.only_a_person_helps else found.verdict.value
        case None:
            return "ok: done" if row.call == "revoke" else "none"
        case _:
            return "ok"


def fits(found: Outcome, wanted: str, row: Row) -> bool:  # noqa: PLR0911 - one return per kind of expectation
    """Whether an outcome is what one expectation says."""
    if wanted.startswith("ok"):
        return _fits_ok(found, wanted, row)
    if not isinstance(found, Failure):
        return wanted in {"none", described(found, row)}
    head, _, wait = wanted.partition(" & wait=")
    head, _, code = head.partition(" [")
    if wait and found.retry_after_s != float(wait):
        return False
    if code and found.code != code.removesuffix("]"):
        return False
    if head == "refresh_first":
        return found.refresh_first
    if head == "none_of_the_above_start_again":
        return found.verdict.only_a_person_helps
    said = described(found, row)
    possible = [each for each in row.wanted if each.startswith("reauthorize/")]
    if said == "reauthorize/not_stated" and len(possible) > 1 and wanted in possible:
        return True  # the platform does not say which of them, so neither do we
    return said == head or ("/" not in head and said.partition("/")[0] == head)


def _fits_ok(found: Outcome, wanted: str, row: Row) -> bool:
    if isinstance(found, Failure):
        return False
    figures = dict(part.split("=", 1) for part in wanted.removeprefix("ok:").replace("&", " ").split() if "=" in part)
    numbers = [int(part) for part in wanted.removeprefix("ok:").replace(",", " ").split() if part.isdigit()]
    match found:
        case TokenAnswer():
            expires = None if found.expires_at is None else (found.expires_at - found.issued_at).total_seconds()
            said = {"expires_in": expires, "rt": found.refresh_token is not None, "subject": found.subject}
            return all(_same(said[name], value) for name, value in figures.items())
        case Inspection():
            day = None if found.expires_at is None else f"{found.expires_at:%Y-%m-%d}"
            return all(_same({"subject": found.subject, "expires": day}[name], v) for name, v in figures.items())
        case Listing():
            usable = sum(account.usable for account in found.accounts)
            return len(found.accounts) == numbers[0] and ("usable" not in figures or usable == int(figures["usable"]))
        case _:
            return row.call == "revoke"


def _same(ours: object, theirs: str) -> bool:
    return str(ours) == theirs or (isinstance(ours, float) and theirs != "None" and ours == float(theirs))
