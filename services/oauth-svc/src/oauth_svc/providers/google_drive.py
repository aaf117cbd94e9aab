"""Google Drive on top of Google OAuth: one account per grant; a 403 is a rate limit or a permission (section 4)."""

from common.contracts import RevocationCause, TokenKind
from oauth_svc.core.connection import PlatformAccount
from oauth_svc.core.failure import Failure, by_status, lost_access, rate_limited, reauthorize, retry_later
from oauth_svc.core.flow import Flow, OnUnknown, Profile, RevokeScope
from oauth_svc.core.grant import Secrets

from .base import PlatformError, believable, json_object
from .calling import text
from .google import GoogleProvider
from .rfc6749 import Client
from .wire import Answer, Wire

DRIVE = "https://www.googleapis.com/auth/drive.readonly"

PROFILE = Profile(
    provider="google-drive",
    title="Google Drive",
    kind=TokenKind.INTEGRATION,
    flow=Flow.REFRESH,
    on_unknown=OnUnknown.REPEAT,
    revoke_scope=RevokeScope.SUBJECT,
    family="google",
    scopes=(DRIVE, "openid", "email"),
    features={DRIVE: "Reading files from Google Drive"},
    adds_scopes=True,
    pkce=True,
    requests_per_s=20,
    burst=40,
    remove_hint="myaccount.google.com/permissions",
)

_LIMITED = {"rateLimitExceeded", "userRateLimitExceeded"}
_LOST = {"insufficientFilePermissions", "appNotAuthorizedToFile", "domainPolicy", "notFound", "insufficientPermissions"}


class GoogleDriveProvider(GoogleProvider):
    """The Drive API."""

    def __init__(
        self, profile: Profile, client: Client, wire: Wire, *, tokeninfo_url: str, certs_url: str, api_url: str
    ) -> None:
        super().__init__(profile, client, wire, tokeninfo_url=tokeninfo_url, certs_url=certs_url)
        self._api_url = api_url

    async def accounts(self, secrets: Secrets) -> tuple[PlatformAccount, ...]:
        """The one Google account of the grant."""
        body = await self.read_api(f"{self._api_url}/about?fields=user", secrets.access_token)
        user = body.get("user")
        user = user if isinstance(user, dict) else {}
        external_id = text(user.get("permissionId")) or text(user.get("emailAddress"))
        if external_id is None:
            raise PlatformError(retry_later("about_malformed", unrecognised=True))
        name = text(user.get("emailAddress")) or text(user.get("displayName")) or external_id
        return (PlatformAccount(external_id, name),)

    def judge(self, answer: Answer) -> Failure | None:
        """Branch on the `reason`, never on the status alone."""
        body = json_object(answer) or {}
        error = body.get("error")
        reasons = error.get("errors") if isinstance(error, dict) else None
        for item in reasons if isinstance(reasons, list) else []:
            reason = item.get("reason") if isinstance(item, dict) else None
            if reason in _LIMITED:
                return rate_limited(str(reason), retry_after_s=answer.retry_after_s)
            if reason in _LOST:
                return believable(lost_access(str(reason)), answer)
        if answer.status == 401:  # noqa: PLR2004
            return reauthorize("http_401", RevocationCause.USER_REVOKED, refresh_first=True)
        return by_status(answer.status, retry_after_s=answer.retry_after_s)
