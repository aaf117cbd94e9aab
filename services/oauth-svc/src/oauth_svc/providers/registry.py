"""Which providers there are: the built-in ones, as the providers file adjusts them, and those that it adds.

The file is TOML (docs/add-a-provider.md describes it): base URLs and clients of the built-in providers, and whole
providers that follow RFC 6749. What is wrong in it is named with its place; nothing starts on a guess.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from common.contracts import TokenKind
from oauth_svc.core.errors import UnknownProviderError
from oauth_svc.core.flow import Flow, OnUnknown, Profile, RevokeScope
from oauth_svc.providers import google_risc
from oauth_svc.providers.base import Provider
from oauth_svc.providers.builtin import BUILTIN, Builder
from oauth_svc.providers.google import GoogleProvider
from oauth_svc.providers.google_risc import RiscStream, ServiceAccount
from oauth_svc.providers.rfc6749 import Client, Rfc6749Provider
from oauth_svc.providers.wire import Wire

_Url = Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/[^\s]*)?$")]
_Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


WEBHOOK_SECRETS = {"meta": "client_secret", "stripe": "webhook_secret"}
"""What the webhooks of built-in providers are signed with; Google's are signed with Google's own keys."""


class ProvidersFileError(ValueError):
    """The providers file cannot be used; the message names the place and the rule."""


class ProviderSettings(BaseModel):
    """One `[providers.<id>]` table. Every URL may be left out for a built-in provider."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    title: str | None = Field(default=None, min_length=1, max_length=60)
    kind: Literal["platform_oauth", "integration"] | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    webhook_secret: SecretStr | None = None
    webhook: bool = True
    webhook_audiences: tuple[str, ...] = ()
    developer_token: SecretStr | None = None
    service_account_file: Path | None = None
    config_id: str | None = Field(default=None, pattern=r"^\d{1,40}$")
    api_version: str | None = Field(default=None, pattern=r"^v\d+(\.\d+)?$")
    authorize_url: _Url | None = None
    token_url: _Url | None = None
    api_url: _Url | None = None
    revocation_url: _Url | None = None
    introspection_url: _Url | None = None
    userinfo_url: _Url | None = None
    accounts_url: _Url | None = None
    certs_url: _Url | None = None
    family: str | None = Field(default=None, max_length=60)
    scopes: tuple[str, ...] | None = None
    features: Mapping[str, str] | None = None
    """What stops working without which permission, in words; a permission that is named here is missed if it lacks."""
    client_auth: Literal["basic", "post"] = "basic"
    pkce: bool | None = None
    rotation: Literal["single_use", "reusable", "unknown"] = "unknown"
    requests_per_s: float | None = Field(default=None, gt=0, le=100_000)
    burst: float | None = Field(default=None, ge=1, le=100_000)
    timeout_s: float | None = Field(default=None, gt=0, le=60)
    probe_every_s: float | None = Field(default=None, ge=0.1)
    list_every_s: float | None = Field(default=None, ge=0.1)
    operations_per_day: int | None = Field(default=None, ge=1)
    needs_accounts: bool | None = None
    via: Annotated[str, Field(pattern=r"^direct$")] | _Url | None = None
    """In place of the file's `via` for this provider; `direct` reaches the platform itself."""

    def secret(self) -> str:
        """Return the client secret, from the table or from its file."""
        if self.client_secret_file is not None:
            return self.client_secret_file.read_text(encoding="utf-8").strip()
        return self.client_secret.get_secret_value() if self.client_secret is not None else ""


class ProvidersFile(BaseModel):
    """The whole file.

    `via` sends every call of a built-in provider to `<via>/<real host>/<path>`, which is how a stand-in for all
    platforms is reached. `allow_private_hosts` lists `host:port` pairs that may be private addresses.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    via: _Url | None = None
    browser_via: _Url | None = None
    allow_private_hosts: frozenset[str] = frozenset()
    probe_every_s: float | None = Field(default=None, ge=0.1)
    providers: Mapping[_Id, ProviderSettings] = Field(default_factory=dict)


def read_providers_file(path: Path | None, override: Path | None = None) -> ProvidersFile:
    """Return the file, or an empty one when none is set.

    Args:
        path: the file.
        override: another one of the same form. What it says stands in place of what the first says: key by key within
            a provider's table, and `allow_private_hosts` of both together.

    Raises:
        ProvidersFileError: unreadable, not TOML, or against the rules; says where.

    """
    whole = _toml(path)
    if override is not None:
        _valid(override, over := _toml(override))
        hosts = [*whole.get("allow_private_hosts", ()), *over.get("allow_private_hosts", ())]
        tables = dict(whole.get("providers", {}))
        for name, table in over.get("providers", {}).items():
            tables[name] = {**tables.get(name, {}), **table}
        whole = {**whole, **over, "allow_private_hosts": hosts, "providers": tables}
    return _valid(override or path, whole)


def _toml(path: Path | None) -> dict[str, Any]:
    try:
        return {} if path is None else tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProvidersFileError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ProvidersFileError(f"{path}: {error}") from error


def _valid(path: Path | None, document: dict[str, Any]) -> ProvidersFile:
    try:
        return ProvidersFile.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ProvidersFileError(f"{path}: {place}: {first['msg']}") from error


class Providers:
    """The providers by id.

    `versions` are those of the APIs that are called, where a platform numbers them; `streams` are the streams of
    security events that a service account of ours manages.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        wires: Mapping[str, Wire],
        versions: Mapping[str, str] | None = None,
        streams: Mapping[str, RiscStream] | None = None,
    ) -> None:
        self._providers = dict(providers)
        self._wires = dict(wires)
        self.versions = dict(versions or {})
        self.streams = dict(streams or {})

    def __getitem__(self, provider: str) -> Provider:
        try:
            return self._providers[provider]
        except KeyError:
            raise UnknownProviderError(f"there is no provider {provider[:40]!r}") from None

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._providers.values())

    def __contains__(self, provider: str) -> bool:
        return provider in self._providers

    async def close(self) -> None:
        for wire in self._wires.values():
            await wire.close()


def build_providers(file: ProvidersFile, *, in_flight: int = 128) -> Providers:
    """Return every provider that has a client; a built-in one without a client is listed by nobody."""
    providers: dict[str, Provider] = {}
    wires: dict[str, Wire] = {}
    for name, settings in file.providers.items():
        builder = BUILTIN.get(name)
        profile = _adjusted(builder.profile if builder else _profile_of(name, settings), settings, file)
        wire = Wire(
            allowed_private=file.allow_private_hosts,
            total_timeout_s=profile.total_timeout_s,
            limit=in_flight,
        )
        wires[name] = wire
        _must_have_secret(name, settings)
        providers[name] = (
            builder.build(
                profile, _urls(builder, settings, file), _client(settings, _siblings(name, profile, file)), wire
            )
            if builder
            else _by_settings(name, profile, settings, wire)
        )
    called = {
        name: settings.api_version or BUILTIN[name].api_version
        for name, settings in file.providers.items()
        if name in BUILTIN
    }
    versions = {name: version for name, version in called.items() if version}
    return Providers(providers, wires, versions, _streams(file, providers, wires))


def _streams(
    file: ProvidersFile, providers: Mapping[str, Provider], wires: Mapping[str, Wire]
) -> dict[str, RiscStream]:
    """Return the streams of security events that a service account is given for."""
    found: dict[str, RiscStream] = {}
    for name, settings in file.providers.items():
        if settings.service_account_file is None:
            continue
        place = f"providers.{name}.service_account_file"
        if not isinstance(providers[name], GoogleProvider):
            raise ProvidersFileError(f"{place}: only Google has a stream of security events")
        try:
            account = ServiceAccount.read(settings.service_account_file)
        except ValueError as error:
            raise ProvidersFileError(f"{place}: {error}") from error
        found[name] = RiscStream(account, wires[name], _by_way_of(settings.via or file.via, google_risc.API_URL))
    return found


def _must_have_secret(name: str, settings: ProviderSettings) -> None:
    """Refuse a provider whose webhook would believe messages that are signed with an empty key."""
    missing = WEBHOOK_SECRETS.get(name)
    given = settings.secret() if missing == "client_secret" else settings.webhook_secret
    if (
        missing is not None
        and settings.webhook
        and not (given.get_secret_value() if isinstance(given, SecretStr) else given)
    ):
        raise ProvidersFileError(f"providers.{name}.{missing}: is needed for its webhook (or set webhook = false)")


def _siblings(name: str, profile: Profile, file: ProvidersFile) -> tuple[str, ...]:
    """Return the client ids of the other providers that share this one's users: one project's, at Google."""
    return tuple(
        settings.client_id
        for other, settings in file.providers.items()
        if other != name
        and settings.client_id
        and other in BUILTIN
        and (settings.family or BUILTIN[other].profile.subject_family) == profile.subject_family
    )


def _client(settings: ProviderSettings, siblings: tuple[str, ...]) -> dict[str, str]:
    found = {
        "client_id": settings.client_id or "",
        "client_secret": settings.secret(),
        "config_id": settings.config_id or "",
        "webhook_audiences": " ".join((*settings.webhook_audiences, *siblings)),
        "webhook_secret": settings.webhook_secret.get_secret_value() if settings.webhook_secret else "",
        "developer_token": settings.developer_token.get_secret_value() if settings.developer_token else "",
    }
    return {name: value for name, value in found.items() if value}


def _urls(builder: Builder, settings: ProviderSettings, file: ProvidersFile) -> dict[str, str]:
    """Return the built-in URLs: the file's own where it names one, else the real one, perhaps by way of a stand-in."""
    urls: dict[str, str] = {}
    version = settings.api_version or builder.api_version
    for name, real in builder.urls.items():
        given: str | None = getattr(settings, name, None)
        via = settings.via or ((file.browser_via or file.via) if name == "authorize_url" else file.via)
        real_now = real.replace("{version}", version)
        urls[name] = given or _by_way_of(via, real_now)
    return urls


def _by_way_of(via: str | None, url: str) -> str:
    return f"{via.rstrip('/')}/{url.partition('://')[2]}" if via and via != "direct" else url


def _adjusted(profile: Profile, settings: ProviderSettings, file: ProvidersFile) -> Profile:
    changes: dict[str, Any] = {
        "title": settings.title,
        "kind": TokenKind(settings.kind) if settings.kind else None,
        "scopes": settings.scopes,
        "operations_per_day": settings.operations_per_day,
        "features": None if settings.features is None else dict(settings.features),
        "pkce": settings.pkce,
        "requests_per_s": settings.requests_per_s,
        "burst": settings.burst,
        "total_timeout_s": settings.timeout_s,
        "needs_accounts": settings.needs_accounts,
        "family": settings.family,
    }
    every = settings.probe_every_s if settings.probe_every_s is not None else file.probe_every_s
    if every is not None:
        changes["probe_every"] = timedelta(seconds=every)
    if settings.list_every_s is not None:
        changes["list_every"] = timedelta(seconds=settings.list_every_s)
    return replace(profile, **{name: value for name, value in changes.items() if value is not None})


def _profile_of(name: str, settings: ProviderSettings) -> Profile:
    on_unknown = {
        "single_use": OnUnknown.INTROSPECT if settings.introspection_url else OnUnknown.WAIT,
        "reusable": OnUnknown.REPEAT,
        "unknown": OnUnknown.INTROSPECT if settings.introspection_url else OnUnknown.IF_PROVEN,
    }[settings.rotation]
    scopes = settings.scopes or ()
    return Profile(
        provider=name,
        title=settings.title or name,
        kind=TokenKind(settings.kind or "platform_oauth"),
        flow=Flow.REFRESH,
        on_unknown=on_unknown,
        revoke_scope=RevokeScope.TOKEN if settings.revocation_url else RevokeScope.NONE,
        scopes=scopes,
        features=dict(settings.features or {scope: scope for scope in scopes}),
        pkce=True,
        needs_accounts=bool(settings.accounts_url),
        requests_per_s=50,
        burst=100,
    )


def _by_settings(name: str, profile: Profile, settings: ProviderSettings, wire: Wire) -> Provider:
    missing = [f for f in ("client_id", "authorize_url", "token_url") if getattr(settings, f) is None]
    if missing:
        raise ProvidersFileError(f"providers.{name}.{missing[0]}: is needed for a provider that is not built in")
    return Rfc6749Provider(
        profile,
        Client(
            client_id=settings.client_id or "",
            client_secret=settings.secret(),
            authorize_url=settings.authorize_url or "",
            token_url=settings.token_url or "",
            revocation_url=settings.revocation_url or "",
            introspection_url=settings.introspection_url or "",
            userinfo_url=settings.userinfo_url or "",
            accounts_url=settings.accounts_url or "",
            auth=settings.client_auth,
        ),
        wire,
    )
