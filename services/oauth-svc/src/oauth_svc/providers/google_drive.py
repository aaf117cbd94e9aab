"""Google Drive on top of Google OAuth: one account per grant; a 403 is a rate limit or a permission (section 4)."""

from collections.abc import Sequence

from common.platforms.errors import retry_later
from common.platforms.google_drive import GOOGLE_DRIVE
from oauth_svc.core.connection import Listing, PlatformAccount
from oauth_svc.core.flow import Flow, OnUnknown, Profile, RevokeScope
from oauth_svc.core.grant import Secrets
from oauth_svc.providers.base import PlatformError, Seen, unseen
from oauth_svc.providers.calling import text
from oauth_svc.providers.google import GoogleProvider
from oauth_svc.providers.rfc6749 import Client
from oauth_svc.providers.wire import Wire

DRIVE = "https://www.googleapis.com/auth/drive.readonly"

PROFILE = Profile(
    provider=GOOGLE_DRIVE.provider,
    title=GOOGLE_DRIVE.title,
    kind=GOOGLE_DRIVE.kind,
    flow=Flow.REFRESH,
    on_unknown=OnUnknown.REPEAT,
    revoke_scope=RevokeScope.SUBJECT,
    family=GOOGLE_DRIVE.family,
    scopes=(DRIVE, "openid", "email"),
    features={DRIVE: "Reading files from Google Drive"},
    adds_scopes=True,
    pkce=True,
    requests_per_s=20,
    burst=40,
    remove_hint="myaccount.google.com/permissions",
)


class GoogleDriveProvider(GoogleProvider):
    """The Drive API."""

    def __init__(
        self,
        profile: Profile,
        client: Client,
        wire: Wire,
        *,
        tokeninfo_url: str,
        certs_url: str,
        api_url: str,
        audiences: Sequence[str] = (),
    ) -> None:
        super().__init__(profile, client, wire, tokeninfo_url=tokeninfo_url, certs_url=certs_url, audiences=audiences)
        self._api_url = api_url

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        """Return the one Google account of the grant."""
        body = await self.read_api(f"{self._api_url}/about?fields=user", secrets.access_token)
        user = body.get("user")
        user = user if isinstance(user, dict) else {}
        external_id = text(user.get("permissionId"))
        if external_id is None:
            raise PlatformError(retry_later("about_malformed", unrecognised=True))
        name = text(user.get("emailAddress")) or text(user.get("displayName")) or external_id
        seen(1)
        return Listing((PlatformAccount(external_id, name),))
