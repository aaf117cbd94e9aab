"""A session-svc of the benchmark's own, with people to sign in."""

import asyncio
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.stack import Stack, free_port
from common.auth import ServiceTokens
from common.crypto import Keyring

PASSWORD = "correct horse battery staple"  # noqa: S105  of people who live for a benchmark only
ORIGIN = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person's cookie and JWT."""

    cookie: str
    token: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Identity:
    """A running session-svc."""

    port: int
    prefix: str
    environment: dict[str, str]
    workspace_id: str
    password_file: Path

    def verification(self) -> dict[str, str]:
        """The settings of a service that believes this session-svc's JWTs."""
        return {
            "issuer": ORIGIN,
            "public_url": ORIGIN,
            "jwks_url": f"{self.url}/.well-known/jwks.json",
            "token_url": f"{self.url}/oauth2/token",
        }

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def create_user(self, stack: Stack, email: str, role: str) -> str:
        """A person; returns their id."""
        arguments = ["--email", email, "--workspace-id", self.workspace_id, "--role", role]
        made = stack.command(
            ["session-svc", "create-user", "--json", *arguments, "--password-file", str(self.password_file)],
            self.environment,
        )
        return str(made["user_id"])

    def create_client(self, stack: Stack, name: str, *scopes: str) -> str:
        """A service client; returns its secret."""
        asked = [part for scope in scopes for part in ("--scope", scope)]
        made = stack.command(["session-svc", "create-client", "--json", "--id", name, *asked], self.environment)
        return str(made["client_secret"])

    async def service_token(self, name: str, secret: str) -> str:
        """A service's JWT, by client credentials (RFC 6749, section 4.4)."""
        async with aiohttp.ClientSession() as http:
            return await ServiceTokens(http, f"{self.url}/oauth2/token", name, secret).token()

    async def sign_in(self, email: str) -> SignedIn:
        """Sign in by password."""
        return await asyncio.to_thread(self._sign_in, email)

    def _sign_in(self, email: str) -> SignedIn:
        request = urllib.request.Request(  # noqa: S310  our own child on loopback
            f"{self.url}/api/v1/auth/sign-in",
            data=json.dumps({"email": email, "password": PASSWORD}).encode(),
            headers={"Content-Type": "application/json", "Origin": ORIGIN},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  our own child on loopback
            cookie: str = answer.headers["Set-Cookie"]
            body: dict[str, Any] = json.loads(answer.read())
        return SignedIn(
            cookie=cookie.split("=", 1)[1].split(";", 1)[0],
            token=body["token"]["token"],
            session_id=body["token"]["session_id"],
        )


async def start(stack: Stack, prefix: str, **settings: str | int) -> Identity:
    """Start session-svc on topics of its own, with one workspace."""
    port = free_port()
    await stack.topics(prefix)
    keyring = stack.folder / f"{prefix}keyring.json"
    Keyring.generate().write(keyring)
    environment = stack.environment(
        database_url=await stack.database("session_svc"),
        http_port=port,
        kafka_topic_prefix=prefix,
        keyring_file=keyring,
        public_url=ORIGIN,
        issuer=ORIGIN,
        jwks_url=f"http://127.0.0.1:{port}/.well-known/jwks.json",
        **settings,
    )
    password = stack.folder / f"{prefix}password"
    password.write_text(PASSWORD)
    workspace = stack.command(["session-svc", "create-workspace", "--json", "--name", "Bench"], environment)
    child = stack.start(f"{prefix}session-svc", ["session-svc", "run"], environment)
    await stack.ready(child, f"http://127.0.0.1:{port}/readyz")
    return Identity(port, prefix, environment, workspace["workspace_id"], password)
