"""docs/add-a-provider.md, followed: a provider that no code knows is connected, refreshed and disconnected."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from oauth_svc.operations import disconnect
from oauth_svc.providers.base import Consent
from oauth_svc.providers.registry import ProvidersFile, ProvidersFileError, build_providers, read_providers_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Stage

PAGE = """
allow_private_hosts = ["{host}"]
[providers.newcomer-ads]
title = "Newcomer Ads"
client_id = "newcomer"
client_secret_file = "{secret}"
authorize_url = "{base}/authorize"
token_url = "{base}/token"
revocation_url = "{base}/revoke"
introspection_url = "{base}/introspect"
userinfo_url = "{base}/api/me"
accounts_url = "{base}/api/accounts"
scopes = ["ads.read", "accounts.read"]
rotation = "single_use"
"""


OVER = """
allow_private_hosts = ["127.0.0.1:9"]
[providers.meta]
client_id = "mine"
client_secret = "my secret"
via = "direct"
[providers.one]
client_id = "c"
authorize_url = "https://one.example/authorize"
token_url = "https://one.example/token"
"""


def test_a_second_file_is_laid_over_the_first(tmp_path: Path) -> None:
    (first := tmp_path / "first.toml").write_text(
        'via = "http://127.0.0.1:8"\nallow_private_hosts = ["127.0.0.1:8"]\n[providers.meta]\nclient_id = "sim"\n'
        'client_secret = "s"\nrequests_per_s = 7\n[providers.taboola]\n'
    )
    (over := tmp_path / "over.toml").write_text(OVER)
    file = read_providers_file(first, over)
    meta = file.providers["meta"]
    assert (meta.client_id, meta.secret(), meta.requests_per_s) == ("mine", "my secret", 7)
    assert file.allow_private_hosts == {"127.0.0.1:8", "127.0.0.1:9"}
    consent = Consent(state="s", redirect_uri="http://127.0.0.1:8080/connect/meta/callback", scopes=())
    providers = build_providers(file)
    assert providers["meta"].consent_url(consent).startswith("https://www.facebook.com/")
    assert providers["one"].consent_url(consent).startswith("https://one.example/")
    assert [provider.profile.provider for provider in providers] == ["meta", "taboola", "one"]
    over.write_text('[providers.meta]\nvia = "nowhere"')
    with pytest.raises(ProvidersFileError, match=r"over\.toml: providers\.meta\.via"):
        read_providers_file(first, over)


async def test_a_provider_by_settings_alone(stage: Stage, tmp_path: Path) -> None:
    redirect = "http://127.0.0.1:8080/connect/newcomer-ads/callback"
    await stage.sim("PUT", "apps/rfc6749/newcomer", {"client_secret": "s3cret", "redirect_uris": [redirect]})
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    url = stage.simulator.url
    file = tmp_path / "providers.toml"
    file.write_text(PAGE.format(host=urlsplit(url).netloc, secret=secret, base=f"{url}/rfc6749.example"))
    providers = build_providers(read_providers_file(file))
    stage.deps.providers._providers |= providers._providers
    person = stage.person()
    assert (await stage.connect(person, "newcomer-ads")).status == 302
    await stage.make_due("newcomer-ads")
    assert await stage.refresh_due() == 1
    connection = await stage.connection(person)
    assert (connection["title"], connection["status"]) == ("Newcomer Ads", "active")
    await stage.ask("DELETE", f"/api/v1/connections/{connection['connection_id']}", person.headers)
    await disconnect.sweep_remote(stage.deps)
    assert (await stage.sim("GET", "grants?provider=rfc6749&alive=1"))["grants"] == []
    await providers.close()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[providers.x", "Expected ']'"),
        ('[providers.x]\nclient_id = "a"', "providers.x.authorize_url"),
        ('[providers.x]\nclient = "a"', "providers.x.client"),
        ('[providers.X]\nclient_id = "a"', "providers.X"),
        ('[providers.meta]\napi_url = "ftp://x"', "providers.meta.api_url"),
        ("[providers.meta]\nrequests_per_s = 0", "providers.meta.requests_per_s"),
        ('[providers.x]\nrotation = "maybe"', "providers.x.rotation"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(text)
    with pytest.raises(ProvidersFileError, match=named.replace(".", r"\.")):
        build_providers(read_providers_file(file))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProvidersFileError, match=r"nowhere\.toml"):
        read_providers_file(tmp_path / "nowhere.toml")


def test_without_a_file_there_is_no_provider() -> None:
    assert list(build_providers(ProvidersFile())) == []
