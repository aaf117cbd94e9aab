"""The built-in providers: profile, real URLs, and how to build each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from oauth_svc.core.flow import Profile

from . import meta
from .base import Provider
from .wire import Wire

Build = Callable[[Profile, Mapping[str, str], Mapping[str, str], Wire], Provider]


@dataclass(frozen=True, slots=True)
class Builder:
    """One built-in provider before its settings are known. `{version}` in a URL is the API version."""

    profile: Profile
    urls: Mapping[str, str]
    build: Build
    api_version: str = ""


def _meta(profile: Profile, urls: Mapping[str, str], client: Mapping[str, str], wire: Wire) -> Provider:
    app = meta.MetaApp(
        client_id=client.get("client_id", ""),
        client_secret=client.get("client_secret", ""),
        authorize_url=urls["authorize_url"],
        api_url=urls["api_url"],
    )
    return meta.MetaProvider(profile, app, wire)


BUILTIN: dict[str, Builder] = {
    "meta": Builder(
        profile=meta.PROFILE,
        urls={
            "authorize_url": "https://www.facebook.com/{version}/dialog/oauth",
            "api_url": "https://graph.facebook.com/{version}",
        },
        build=_meta,
        api_version=meta.API_VERSION,
    ),
}
