"""The address of a consent screen (RFC 6749 section 4.1.1, RFC 7636 section 4.3), from a file of providers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from oauth_svc.providers.base import Consent
from oauth_svc.providers.registry import build_providers, read_providers_file

if TYPE_CHECKING:
    from pathlib import Path

CONSENT = Consent(
    state="s&=",
    redirect_uri="https://app.example/connect/one/callback?tab=1",
    scopes=("ads.read", "accounts.read"),
    challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
)
WANTED = {
    "response_type": ["code"],
    "client_id": ["a b"],
    "redirect_uri": [CONSENT.redirect_uri],
    "scope": ["ads.read accounts.read"],
    "state": ["s&="],
    "code_challenge": [CONSENT.challenge],
    "code_challenge_method": ["S256"],
}


@pytest.mark.parametrize(
    ("authorize_url", "its_own"),
    [
        ("https://one.example/authorize", {}),
        ("https://one.example/authorize?tenant=7", {"tenant": ["7"]}),
        ("https://one.example/authorize?tenant=7&prompt=", {"tenant": ["7"], "prompt": [""]}),
    ],
)
async def test_what_an_address_has_already_stays(
    tmp_path: Path, authorize_url: str, its_own: dict[str, list[str]]
) -> None:
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "providers.toml").write_text(f"""
[providers.one]
title = "One"
client_id = "a b"
client_secret_file = "{tmp_path / "secret"}"
authorize_url = "{authorize_url}"
token_url = "https://one.example/token"
scopes = ["ads.read", "accounts.read"]
""")
    providers = build_providers(read_providers_file(tmp_path / "providers.toml"))
    url = urlsplit(providers["one"].consent_url(CONSENT))
    await providers.close()
    assert (url.netloc, url.path) == ("one.example", "/authorize")
    assert parse_qs(url.query, keep_blank_values=True) == WANTED | its_own
