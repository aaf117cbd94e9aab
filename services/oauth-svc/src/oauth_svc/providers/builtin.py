"""The built-in providers: profile, real URLs, and how each is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from common.platforms.google_ads import GOOGLE_ADS
from common.platforms.meta import META
from oauth_svc.core.flow import Profile
from oauth_svc.providers import google, google_ads, google_drive, meta, outbrain, snapchat, stripe, taboola, tiktok
from oauth_svc.providers.base import Provider
from oauth_svc.providers.rfc6749 import Client
from oauth_svc.providers.wire import Wire

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
        config_id=client.get("config_id", ""),
        authorize_url=urls["authorize_url"],
        api_url=urls["api_url"],
    )
    return meta.MetaProvider(profile, app, wire)


def _google_client(urls: Mapping[str, str], client: Mapping[str, str]) -> Client:
    return Client(
        client_id=client.get("client_id", ""),
        client_secret=client.get("client_secret", ""),
        authorize_url=urls["authorize_url"],
        token_url=urls["token_url"],
        revocation_url=urls["revocation_url"],
        auth="post",
        extra_authorize=google.EXTRA,
    )


def _google_ads(profile: Profile, urls: Mapping[str, str], client: Mapping[str, str], wire: Wire) -> Provider:
    return google_ads.GoogleAdsProvider(
        profile,
        _google_client(urls, client),
        wire,
        tokeninfo_url=urls["introspection_url"],
        certs_url=urls["certs_url"],
        audiences=client.get("webhook_audiences", "").split(),
        api_url=urls["api_url"],
        developer_token=client.get("developer_token", ""),
    )


def _google_drive(profile: Profile, urls: Mapping[str, str], client: Mapping[str, str], wire: Wire) -> Provider:
    return google_drive.GoogleDriveProvider(
        profile,
        _google_client(urls, client),
        wire,
        tokeninfo_url=urls["introspection_url"],
        certs_url=urls["certs_url"],
        audiences=client.get("webhook_audiences", "").split(),
        api_url=urls["api_url"],
    )


def _tiktok(profile: Profile, urls: Mapping[str, str], client: Mapping[str, str], wire: Wire) -> Provider:
    app = tiktok.TikTokApp(
        client_id=client.get("client_id", ""),
        client_secret=client.get("client_secret", ""),
        authorize_url=urls["authorize_url"],
        api_url=urls["api_url"],
    )
    return tiktok.TikTokProvider(profile, app, wire)


def _taboola(profile: Profile, urls: Mapping[str, str], _: Mapping[str, str], wire: Wire) -> Provider:
    return taboola.TaboolaProvider(profile, wire, token_url=urls["token_url"], api_url=urls["api_url"])


def _outbrain(profile: Profile, urls: Mapping[str, str], _: Mapping[str, str], wire: Wire) -> Provider:
    return outbrain.OutbrainProvider(profile, wire, api_url=urls["api_url"])


def _snapchat(profile: Profile, urls: Mapping[str, str], client: Mapping[str, str], wire: Wire) -> Provider:
    found = Client(
        client_id=client.get("client_id", ""),
        client_secret=client.get("client_secret", ""),
        authorize_url=urls["authorize_url"],
        token_url=urls["token_url"],
        auth="post",
    )
    return snapchat.SnapchatProvider(profile, found, wire, api_url=urls["api_url"])


def _stripe(profile: Profile, urls: Mapping[str, str], client: Mapping[str, str], wire: Wire) -> Provider:
    platform = stripe.StripePlatform(
        client_id=client.get("client_id", ""),
        client_secret=client.get("client_secret", ""),
        webhook_secret=client.get("webhook_secret", ""),
        authorize_url=urls["authorize_url"],
        token_url=urls["token_url"],
        revocation_url=urls["revocation_url"],
        api_url=urls["api_url"],
    )
    return stripe.StripeProvider(profile, platform, wire)


_GOOGLE_URLS = {
    "authorize_url": "https://accounts.google.com/o/oauth2/v2/auth",
    "token_url": "https://oauth2.googleapis.com/token",
    "revocation_url": "https://oauth2.googleapis.com/revoke",
    "introspection_url": "https://oauth2.googleapis.com/tokeninfo",
    "certs_url": "https://www.googleapis.com/oauth2/v3/certs",
}

BUILTIN: dict[str, Builder] = {
    "meta": Builder(
        profile=meta.PROFILE,
        urls={
            "authorize_url": "https://www.facebook.com/{version}/dialog/oauth",
            "api_url": "https://graph.facebook.com/{version}",
        },
        build=_meta,
        api_version=META.api_version,
    ),
    "google-ads": Builder(
        profile=google_ads.PROFILE,
        urls={**_GOOGLE_URLS, "api_url": "https://googleads.googleapis.com/{version}"},
        build=_google_ads,
        api_version=GOOGLE_ADS.api_version,
    ),
    "google-drive": Builder(
        profile=google_drive.PROFILE,
        urls={**_GOOGLE_URLS, "api_url": "https://www.googleapis.com/drive/v3"},
        build=_google_drive,
    ),
    "tiktok": Builder(
        profile=tiktok.PROFILE,
        urls={
            "authorize_url": "https://business-api.tiktok.com/portal/auth",
            "api_url": "https://business-api.tiktok.com/open_api/v1.3",
        },
        build=_tiktok,
    ),
    "taboola": Builder(
        profile=taboola.PROFILE,
        urls={
            "token_url": "https://backstage.taboola.com/backstage/oauth/token",
            "api_url": "https://backstage.taboola.com/backstage/api/1.0",
        },
        build=_taboola,
    ),
    "snapchat": Builder(
        profile=snapchat.PROFILE,
        urls={
            "authorize_url": "https://accounts.snapchat.com/login/oauth2/authorize",
            "token_url": "https://accounts.snapchat.com/login/oauth2/access_token",
            "api_url": "https://adsapi.snapchat.com/v1",
        },
        build=_snapchat,
    ),
    "outbrain": Builder(
        profile=outbrain.PROFILE,
        urls={"api_url": "https://api.outbrain.com/amplify/v0.1"},
        build=_outbrain,
    ),
    "stripe": Builder(
        profile=stripe.PROFILE,
        urls={
            "authorize_url": "https://connect.stripe.com/oauth/authorize",
            "token_url": "https://connect.stripe.com/oauth/token",
            "revocation_url": "https://connect.stripe.com/oauth/deauthorize",
            "api_url": "https://api.stripe.com/v1",
        },
        build=_stripe,
    ),
}
