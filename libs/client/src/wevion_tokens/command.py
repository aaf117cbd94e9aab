"""The command `wevion-tokens`: who am I, is there a token, why not, and what is happening."""

import argparse
import asyncio
import json
import sys
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from wevion_tokens.auth.service_tokens import ServiceTokens
from wevion_tokens.errors import EndedError, NoSuchAccountError, TokensError
from wevion_tokens.profile import ProfileError, TokensProfile
from wevion_tokens.runtime.errors import PermanentError, RetryableError
from wevion_tokens.tokens.api import TokensApi
from wevion_tokens.tokens.client import TokensClient

PROFILES = Path("~/.config/wevion-tokens/profiles.toml")
OK, REFUSED, MISUSED = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0, or 1 with the reason on standard error: there is no token, or the services refuse; 2 for a wrong profile.

    """
    parser = argparse.ArgumentParser(prog="wevion-tokens", description=__doc__)
    parser.add_argument("--profiles", type=Path, default=PROFILES, help=f"a TOML file (default {PROFILES})")
    parser.add_argument("--profile", default="local", help="which table of it (default local)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("whoami", help="the service client, its scopes, and where the services are")
    token = verbs.add_parser("token", help="whether there is a working token for an account")
    token.add_argument("account")
    token.add_argument("--min-ttl", type=int, default=60, help="seconds that it must stay valid")
    token.add_argument("--show", action="store_true", help="print the token itself, and nothing else")
    why = verbs.add_parser("why", help="what happened to an account's token, and what helps")
    why.add_argument("account", help="its id, or the token's")
    tail = verbs.add_parser("tail", help="events as they come, a line each")
    tail.add_argument("topics", nargs="+", metavar="TOPIC")
    tail.add_argument("--about", help="only events that name this id: a token, an account, a workspace, a person")
    tail.add_argument("--from-start", action="store_true", help="also what the topics hold already, and then end")
    for verb in (token, why, tail):
        verb.add_argument("--json", action="store_true", help="for programs")
    arguments = parser.parse_args(argv)
    try:
        profile = TokensProfile.from_file(arguments.profiles.expanduser(), arguments.profile)
        return asyncio.run(_VERBS[arguments.verb](profile, arguments))
    except ProfileError as error:
        print(f"wevion-tokens: {error}", file=sys.stderr)
        return MISUSED
    except TokensError as error:
        _explain(error)
        return REFUSED
    except (PermanentError, RetryableError) as error:
        print(f"wevion-tokens: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return 130


async def _whoami(profile: TokensProfile, arguments: argparse.Namespace) -> int:
    profile.needs("token_url", "service_client_id", "service_client_secret")
    async with aiohttp.ClientSession() as http:
        jwt = await _own(http, profile).token()
    payload = jwt.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    rows = {
        "profile": f"{arguments.profile} in {arguments.profiles}",
        "client": claims.get("client_id", ""),
        "scopes": claims.get("scope", "") or "none",
        "issuer": claims.get("iss", ""),
        "JWT until": datetime.fromtimestamp(claims["exp"], UTC).isoformat(),
        "oauth-svc": profile.oauth_url,
        "inventory": profile.watcher_url,
        "Kafka": profile.kafka_bootstrap_servers,
    }
    _rows({name: value for name, value in rows.items() if value})
    return OK


async def _token(profile: TokensProfile, arguments: argparse.Namespace) -> int:
    async with TokensClient(profile, follow=False) as client:
        found = await client.token(arguments.account, min_ttl=timedelta(seconds=arguments.min_ttl))
    if arguments.show:
        print(found.access_token)
    elif arguments.json:
        print(found.model_dump_json(exclude={"access_token"}, indent=2))
    else:
        rows = {
            "account": f"{found.external_id} at {found.provider}",
            "status": found.status + (", refreshing fails for now" if found.stale_refresh else ""),
            "valid until": found.expires_at.isoformat() if found.expires_at else "no end is stated",
            "sent as": f"{found.header}: {found.scheme} …".replace(":  ", ": "),
            "missing": ", ".join(found.missing_scopes),
        }
        _rows({name: value for name, value in rows.items() if value})
    return OK


async def _why(profile: TokensProfile, arguments: argparse.Namespace) -> int:
    profile.needs("watcher_url", "token_url", "service_client_id", "service_client_secret")
    base = f"{profile.watcher_url.rstrip('/')}/api/v1/tokens"
    async with aiohttp.ClientSession() as http:
        api = TokensApi(http, profile.oauth_url, _own(http, profile))
        found = await api.get(f"{base}/{await _token_of(api, arguments.account)}")
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        _story(found)
    return OK


async def _token_of(api: TokensApi, account_id: str) -> str:
    """Return the token that this account has, or had; an id that is no account's is taken for a token's own."""
    try:
        found, _ = await api.token(account_id, 0)
    except EndedError as ended:
        return ended.token_id or account_id
    except NoSuchAccountError:
        return account_id
    return str(found.connection_id)


def _story(token: dict[str, Any]) -> None:
    rows = {
        "token": f"{token['token_id']}  {token['title']}",
        "status": f"{token['status']} since {token['since']}",
        "cause": token.get("cause") or "",
        "found by": token.get("detected_by") or "",
        "expires": token.get("expires_at") or "",
        "in words": token["summary"],
        "fix": token.get("fix") or "",
        "where": token.get("fix_url") or "",
    }
    _rows({name: value for name, value in rows.items() if value})
    for line in token["history"]:
        print(f"  {line['at']}  {line['words']}")


async def _tail(profile: TokensProfile, arguments: argparse.Namespace) -> int:
    from wevion_tokens.contracts import TOPICS, InvalidEventError, decode  # noqa: PLC0415  with the extra alone
    from wevion_tokens.kafka import TopicReader  # noqa: PLC0415

    unknown = [topic for topic in arguments.topics if topic not in TOPICS]
    if unknown:
        raise PermanentError(f"no topic is called {unknown[0]}; there are {', '.join(sorted(TOPICS))}")
    kafka = profile.kafka("wevion-tokens")
    records = (
        TopicReader(kafka, *arguments.topics).present()
        if arguments.from_start
        else TopicReader(kafka, *arguments.topics, start="latest")
    )
    async for record in records:
        if record.value is None or (arguments.about and arguments.about.encode() not in record.value):
            continue
        try:
            event = decode(record.value, record.headers)
        except InvalidEventError as error:
            print(f"{record.topic}/{record.partition}@{record.offset} is not readable: {error}", file=sys.stderr)
            continue
        body = event.body.model_dump(mode="json", by_alias=True)
        if arguments.json:
            head = {"id": str(event.id), "type": event.type, "source": event.source, "time": event.time.isoformat()}
            print(json.dumps(head | {"subject": event.body.subject(), "data": body}), flush=True)
        else:
            print(f"{event.time.isoformat()}  {record.topic:<24} {_line(body)}", flush=True)
    return OK


def _line(body: dict[str, Any]) -> str:
    """Return the body without what is large or empty, as words."""
    token = body.get("token") or {}
    named = {name: token[name] for name in ("provider", "token_id", "version") if name in token}
    rest = {name: value for name, value in body.items() if value not in (None, [], {}) and not isinstance(value, dict)}
    return " ".join(f"{name}={value}" for name, value in (named | rest).items())


_VERBS = {"whoami": _whoami, "token": _token, "why": _why, "tail": _tail}


def _own(http: aiohttp.ClientSession, profile: TokensProfile) -> ServiceTokens:
    return ServiceTokens(
        http,
        profile.token_url,
        profile.service_client_id,
        profile.service_client_secret,
        scope=profile.service_scope,
    )


def _explain(error: TokensError) -> None:
    print(f"wevion-tokens: {error}", file=sys.stderr)
    rows = {
        "code": error.said.code,
        "cause": getattr(error, "cause", None) or "",
        "since": str(getattr(error, "since", None) or ""),
        "fix": error.fix,
        "where": error.fix_url,
    }
    for name, value in rows.items():
        if value:
            print(f"  {name:<6} {value}", file=sys.stderr)


def _rows(rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
