"""Google's stream of security events: registered by our service account, tried, and seen when it falls silent."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from common.crypto import Keyring
from common.testing import eventually
from oauth_svc import metrics
from oauth_svc.__main__ import _risc_arguments, google_risc
from oauth_svc.core.errors import UnknownProviderError
from oauth_svc.operations import gauges, risc
from oauth_svc.providers.base import PlatformError
from oauth_svc.providers.registry import ProvidersFile, ProvidersFileError, build_providers, read_providers_file
from oauth_svc.settings import OauthSettings

if TYPE_CHECKING:
    from tests.conftest import Stage

EMAIL = "risc@wevion-ads.iam.gserviceaccount.example"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(path: Path, key: rsa.RSAPrivateKey) -> Path:
    """What Google Cloud hands out for a service account."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path.write_text(
        json.dumps({"type": "service_account", "client_email": EMAIL, "private_key_id": "k1", "private_key": pem})
    )
    return path


@pytest.fixture
async def managed(stage: Stage, tmp_path: Path, key: rsa.RSAPrivateKey) -> AsyncIterator[Stage]:
    """The stage with a service account that Google knows; the addresses are the stage's own."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (app,) = [a for a in (await stage.sim("GET", "apps"))["apps"] if a["provider"] == "google-ads"]
    known = {"service_accounts": {EMAIL: {"key_id": "k1", "public_key": public.decode()}}}
    change = {"options": known, "webhook_url": None, "redirect_uris": [f"{stage.url}/connect/google-ads/callback"]}
    await stage.sim("PUT", f"apps/google-ads/{app['client_id']}", change)
    file = tmp_path / "providers.toml"
    file.write_text(f"""
        via = "{stage.simulator.url}"
        allow_private_hosts = ["{urlsplit(stage.simulator.url).netloc}"]
        [providers.google-ads]
        client_id = "{app["client_id"]}"
        client_secret = "{app["client_secret"]}"
        developer_token = "{app["options"]["developer_token"]}"
        service_account_file = "{key_file(tmp_path / "account.json", key)}"
    """)
    providers = build_providers(read_providers_file(file))
    stage.deps.providers, stage.deps.public_url = providers, stage.url
    yield stage
    await providers.close()


async def deliveries(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await stage.sim("GET", "webhooks?provider=google-ads"))["deliveries"]
    return found


async def shown(stage: Stage) -> float:
    await gauges.count(stage.deps)
    return float(metrics.RISC_VERIFIED.labels("google-ads")._value.get())


async def test_a_registered_stream_brings_its_self_test_and_a_removed_access(managed: Stage) -> None:
    assert (await risc.status(managed.deps, "google-ads")).wrong == "nothing is registered"
    assert await shown(managed) == 0
    url = await risc.register(managed.deps, "google-ads")
    assert url == f"{managed.url}/webhooks/google-ads"
    assert (await risc.status(managed.deps, "google-ads")).wrong is None
    assert await risc.verify(managed.deps, "google-ads")
    (sent,) = await deliveries(managed)
    assert (sent["kind"], sent["status"]) == ("verification", 202)
    assert await shown(managed) == pytest.approx(managed.clock.now().timestamp(), abs=60)
    status = await risc.status(managed.deps, "google-ads")
    assert status.verified_at is not None

    person = managed.person(role="owner")
    assert (await managed.connect(person, "google-ads")).status == 302
    await managed.sim("POST", "grants/google-ads/avery/revoke", {"cause": "user_revoked", "webhook": "send"})

    async def ended() -> bool:
        return bool((await managed.connection(person))["status"] == "revoked")

    await eventually(ended)


async def test_the_self_test_runs_twice_a_day_however_many_replicas_there_are(managed: Stage) -> None:
    await risc.register(managed.deps, "google-ads")
    assert [(await risc.sweep(managed.deps)).claimed for _ in range(3)] == [1, 0, 0]
    managed.clock.advance(risc.VERIFY_EVERY + timedelta(seconds=1))
    assert (await risc.sweep(managed.deps)).claimed == 1

    async def both() -> bool:
        return [d["status"] for d in await deliveries(managed)] == [202, 202]

    await eventually(both)


async def test_what_is_wrong_with_a_stream_is_said(managed: Stage) -> None:
    assert not await risc.verify(managed.deps, "google-ads", within_s=0.1), "nothing is registered"
    assert (await risc.sweep(managed.deps)).claimed == 1
    await risc.register(managed.deps, "google-ads")
    managed.deps.public_url = "https://elsewhere.example"
    assert (
        await risc.status(managed.deps, "google-ads")
    ).wrong == f"the events go to {managed.url}/webhooks/google-ads"
    with pytest.raises(UnknownProviderError, match="no service_account_file is set for 'meta'"):
        await risc.status(managed.deps, "meta")


async def test_a_service_account_that_google_does_not_know_is_our_fault(managed: Stage) -> None:
    (app,) = [a for a in (await managed.sim("GET", "apps"))["apps"] if a["provider"] == "google-ads"]
    await managed.sim("PUT", f"apps/google-ads/{app['client_id']}", {"options": {"service_accounts": {}}})
    with pytest.raises(PlatformError, match="our_bug:http_401") as refused:
        await risc.register(managed.deps, "google-ads")
    assert EMAIL in refused.value.failure.words
    assert "roles/riscconfigs.admin" in refused.value.failure.words
    assert (await risc.sweep(managed.deps)).claimed == 1, "and the sweep goes on"


async def test_the_command_says_what_it_did(
    managed: Stage, tmp_path: Path, one_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ring = tmp_path / "keyring.json"
    Keyring.generate().write(ring)
    given = {
        "database_url": one_database,
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "keyring_file": ring,
        "providers_file": tmp_path / "providers.toml",
        "public_url": managed.url,
    }
    settings = OauthSettings.model_validate(given)
    parser = argparse.ArgumentParser()
    _risc_arguments(parser)

    async def run(*argv: str) -> tuple[int, str]:
        code = await google_risc(settings, parser.parse_args(argv))
        said = capsys.readouterr()
        return code, said.out + said.err

    code, said = await run("status")
    assert (code, "google-ads  nothing is registered" in said, "received: never" in said) == (1, True, True)
    code, said = await run("register")
    assert (code, f"events go to {managed.url}/webhooks/google-ads" in said) == (0, True)
    code, said = await run("verify")
    assert (code, "google-ads  the event arrived" in said) == (0, True)
    code, said = await run("status", "--provider", "google-ads")
    assert (code, "google-ads  registered" in said, "never" in said) == (0, True, False)
    code, said = await run("status", "--provider", "meta")
    assert (code, "no service_account_file is set for 'meta'" in said) == (1, True)


def test_a_key_file_is_checked_at_the_start(tmp_path: Path, key: rsa.RSAPrivateKey) -> None:
    account = key_file(tmp_path / "account.json", key)
    client = {"client_id": "c", "client_secret": "s", "service_account_file": account}

    def build(provider: str, **change: Any) -> None:
        build_providers(ProvidersFile.model_validate({"providers": {provider: client | change}}))

    build("google-drive")
    with pytest.raises(ProvidersFileError, match=r"providers\.snapchat\.service_account_file: only Google"):
        build("snapchat")
    with pytest.raises(ProvidersFileError, match="No such file"):
        build("google-ads", service_account_file=tmp_path / "missing.json")
    account.write_text('{"client_email": "a", "private_key_id": "k", "private_key": "top-secret"}')
    with pytest.raises(ProvidersFileError, match="is no key file of a service account") as refused:
        build("google-ads")
    assert "top-secret" not in str(refused.value)
