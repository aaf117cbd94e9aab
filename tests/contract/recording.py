"""Records what a platform really answers to a developer's own test app, as rows of the contract suite.

`make record PROVIDER=meta PROVIDERS=my.toml` (docs/add-a-provider.md): the person consents in a browser and pastes the
address that it came back to; then every call that oauth-svc makes is made once, the answers are stripped of secrets and
people, and written as a file of rows that the suite runs from then on.
"""

import argparse
import asyncio
import getpass
import json
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from common.platforms.errors import Failure
from oauth_svc.core.connection import Listing
from oauth_svc.core.grant import Secrets, TokenAnswer
from oauth_svc.providers.base import Callback, Consent, PlatformError, Provider
from oauth_svc.providers.registry import ProvidersFileError, build_providers, read_providers_file
from oauth_svc.providers.wire import Answer, Request

from .replaying import CLIENT_ID, Outcome, Row, described

HEADERS = re.compile(r"^(?:retry-after|date|www-authenticate|stripe-should-retry|x-.*usage|x-ad-api-.*|rate-?limit.*)$")
"""Headers that a reader of ours may look at."""
PEOPLE = re.compile(r"name|e?mail|login|picture|photo|avatar|phone|address|company|title|descri?ptive", re.IGNORECASE)
KEPT = re.compile(r"^(?:expires?_(?:in|at)|data_access_expires_at|issued_at|exp|iat|created|.*code|status|.*_count)$")
"""Members whose figures are no one's id."""
OWN_WORDS = re.compile(r"^(?:error|message|type|status|reason|scope|token_type|code|.*_code|kind|level)")


Asked = Callable[[], Awaitable[Any]]


class Scrubber:
    """Replaces secrets and people, the same one by the same everywhere."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def secret(self, value: str | None, name: str) -> None:
        """Have a value that is known to be secret replaced wherever it stands."""
        if value and len(value) > 3:
            self._known.setdefault(value, name)

    def clean(self, value: Any, member: str = "") -> Any:  # noqa: PLR0911 - one return per kind of value
        """The same document without secrets and people."""
        match value:
            case dict():
                return {self.text(name): self.clean(inner, name) for name, inner in value.items()}
            case list():
                return [self.clean(inner, member) for inner in value]
            case str() if value and PEOPLE.search(member) and not OWN_WORDS.match(member):
                return self._as(value, "person@x.example" if "@" in value else "Name")
            case str():
                return self.text(value)
            case bool():
                return value
            case int() if len(str(abs(value))) > 5 and not KEPT.match(member):
                return int(self._digits(str(value)))
            case _:
                return value

    def text(self, text: str) -> str:
        """The same text without secrets, addresses of people, ids and what looks like a token."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, self._known[secret])
        text = re.sub(r"[\w.+-]+@[\w-]+\.[\w.-]+", lambda found: self._as(found[0], "person@x.example"), text)
        text = re.sub(r"[A-Za-z0-9_\-.~+/=|]{20,}", self._opaque, text)
        return re.sub(r"(?<![\d.:-])\d{6,}(?![\d.:-])", lambda found: self._digits(found[0]), text)

    def _as(self, value: str, name: str) -> str:
        number = sum(known.startswith(name[:4]) for known in self._known.values()) + 1
        fresh = name.replace("@", f"{number}@") if "@" in name else f"{name} {number}"
        return self._known.setdefault(value, fresh)

    def _opaque(self, found: re.Match[str]) -> str:
        value = found[0]
        kinds = sum(bool(re.search(pattern, value)) for pattern in ("[a-z]", "[A-Z]", r"\d"))
        if "//" in value or kinds < 2 or re.fullmatch(r"[a-z_./]+|[A-Z_]+", value) or value in self._known.values():
            return value
        return self._known.setdefault(value, f"opaque-{len(self._known)}")

    def _digits(self, value: str) -> str:
        if value not in self._known:
            self._known[value] = str(10 ** (len(value) - 1) + len(self._known))
        return self._known[value]


@dataclass(slots=True)
class Tape:
    """Stands before a provider's wire and keeps what passes."""

    wire: Any
    heard: list[tuple[Request, Answer]] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        answer: Answer = await self.wire.send(request)
        self.heard.append((request, answer))
        return answer


@dataclass(slots=True)
class Recorder:
    """One provider, one consent, and every call once. `day` is the date of the recording."""

    provider: Provider
    day: str
    scrub: Scrubber = field(default_factory=Scrubber)
    rows: list[dict[str, Any]] = field(default_factory=list)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def everything(
        self, begin: Callable[[], Awaitable[TokenAnswer]], again: Callable[[], Awaitable[Any]]
    ) -> None:
        """Make all the calls, the ones that spoil something last."""
        tokens = await self._step("exchange", begin)
        if not isinstance(tokens, TokenAnswer):
            return
        for value, name in ((tokens.access_token, "access-token"), (tokens.refresh_token, "refresh-token")):
            self.scrub.secret(value, name)
        own = Secrets(tokens.access_token, tokens.refresh_token, dict(self.credentials))
        now = datetime.now(UTC)
        await self._step("inspect", lambda: self.provider.inspect(own, now))
        await self._step("accounts", lambda: self.provider.accounts(own))
        wrong = {name: _spoilt(value) for name, value in self.credentials.items()}
        dead = Secrets(_spoilt(tokens.access_token), _spoilt(tokens.refresh_token), wrong)
        await self._step("inspect (spoilt token)", lambda: self.provider.inspect(dead, now))
        await self._step("refresh (spoilt token)", lambda: self.provider.refresh(dead, now))
        fresh = await self._step("refresh", lambda: self.provider.refresh(own, now))
        if isinstance(fresh, TokenAnswer):
            self.scrub.secret(fresh.access_token, "access-token-2")
            own = Secrets(fresh.access_token, fresh.refresh_token or own.refresh_token, dict(self.credentials))
        await self._step("exchange (code twice)", again)
        await self._step("revoke", lambda: self.provider.revoke(own))
        await self._step("inspect (after the disconnect)", lambda: self.provider.inspect(own, now))
        await self._step("refresh (after the disconnect)", lambda: self.provider.refresh(own, now))

    async def _step(self, context: str, call: Callable[[], Awaitable[Any]]) -> Any:
        tape = Tape(self.provider._wire)  # type: ignore[attr-defined]
        self.provider._wire = tape  # type: ignore[attr-defined]
        found: Outcome | Any
        try:
            found = await call()
        except PlatformError as error:
            found = error.failure
        finally:
            self.provider._wire = tape.wire  # type: ignore[attr-defined]
        if isinstance(found, TokenAnswer):
            for value, name in ((found.access_token, "access-token"), (found.refresh_token, "refresh-token")):
                self.scrub.secret(value, name)
            self.scrub.secret(found.id_token, "id-token")
        if tape.heard:
            self.rows.append(self._row(context, tape.heard, found))
        return found

    def _row(self, context: str, heard: list[tuple[Request, Answer]], found: Any) -> dict[str, Any]:
        provider = self.provider.profile.provider
        row = Row(f"{provider}: {context} ({self.day})", provider, context, None, "none")
        expected = described(found, row)
        if isinstance(found, Failure):
            expected = f"{'refresh_first' if found.refresh_first else expected} [{found.code}]"
        elif isinstance(found, Listing):
            expected = f"ok: {len(found.accounts)} usable={sum(account.usable for account in found.accounts)}"
        last = heard[-1][1]
        bodies = {urlsplit(request.url).path: self._body(answer) for request, answer in heard}
        return {
            "id": row.id,
            "provider": provider,
            "context": context,
            "status": last.status,
            "headers": {name: self.scrub.text(text) for name, text in last.headers.items() if HEADERS.match(name)},
            "body": bodies if len(bodies) > 1 else self._body(last),
            "expected": expected,
            "source": "a test app of our own",
            "shape": f"recorded {self.day}, secrets and people replaced",
        }

    def _body(self, answer: Answer) -> Any:
        try:
            return self.scrub.clean(json.loads(answer.body))
        except ValueError:
            return self.scrub.text(answer.body.decode("utf-8", "replace"))[:2000]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _spoilt(token: str | None) -> str:
    """The token with its last characters changed."""
    return (token or "")[:-4] + "AAAA"


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the rows in place of an earlier recording."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


async def _record(name: str, providers_file: Path, redirect_uri: str, out: Path) -> int:
    providers = build_providers(read_providers_file(providers_file))
    provider = providers[name]
    recorder = Recorder(provider, f"{datetime.now(UTC):%Y-%m-%d}")
    for table in read_providers_file(providers_file).providers.values():
        recorder.scrub.secret(table.client_id, CLIENT_ID)
        recorder.scrub.secret(table.secret(), "client-secret")
    try:
        if provider.profile.form:
            entered = {each.name: getpass.getpass(f"{each.label}: ") for each in provider.profile.form}
            recorder.credentials = entered
            for label, value in entered.items():
                recorder.scrub.secret(value, label)

            async def login() -> TokenAnswer:
                return await provider.login(entered, datetime.now(UTC))

            await recorder.everything(login, login)
        else:
            verifier = secrets.token_urlsafe(48) if provider.profile.pkce else None
            challenge = create_s256_code_challenge(verifier) if verifier else None
            consent = Consent(secrets.token_urlsafe(24), redirect_uri, provider.profile.scopes, challenge)
            _say("Open this, consent, and paste the address that the browser came back to:")
            _say(f"\n{provider.consent_url(consent)}\n")
            query = dict(parse_qsl(urlsplit(await asyncio.to_thread(input, "address: ")).query))
            for parameter in ("code", "auth_code", "state"):
                recorder.scrub.secret(query.get(parameter), parameter)
            callback = Callback(query=query, redirect_uri=redirect_uri, verifier=verifier)

            async def exchange() -> TokenAnswer:
                return await provider.exchange(callback, datetime.now(UTC))

            await recorder.everything(exchange, exchange)
    finally:
        await providers.close()
    write(recorder.rows, out)
    _say(f"{len(recorder.rows)} answers in {out}: read them before you commit; `make contract` runs them")
    return 0 if recorder.rows else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Record a platform's answers with a test app of your own")
    parser.add_argument("provider")
    parser.add_argument("--providers", type=Path, required=True, help="the providers file with the test app")
    parser.add_argument("--redirect-uri", help="as it is registered with the app")
    given = parser.parse_args()
    redirect_uri = given.redirect_uri or f"http://127.0.0.1:8080/connect/{given.provider}/callback"
    out = Path(__file__).parent / "answers" / f"recorded-{given.provider}.jsonl"
    try:
        return asyncio.run(_record(given.provider, given.providers, redirect_uri, out))
    except (ProvidersFileError, KeyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
