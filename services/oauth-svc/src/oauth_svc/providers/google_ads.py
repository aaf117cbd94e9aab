"""Google Ads on top of Google OAuth: customers reached directly, and children of managers (providers.md section 3)."""

from collections.abc import Mapping
from typing import Any

from common.contracts import RevocationCause, TokenKind
from oauth_svc.core.connection import PlatformAccount
from oauth_svc.core.failure import Failure, by_status, lost_access, our_bug, rate_limited, reauthorize, retry_later
from oauth_svc.core.flow import Flow, OnUnknown, Profile, RevokeScope
from oauth_svc.core.grant import Secrets

from .base import PlatformError, believable, json_object
from .calling import objects, text
from .google import GoogleProvider
from .rfc6749 import Client
from .wire import Answer, Request, Wire

API_VERSION = "v25"
ADWORDS = "https://www.googleapis.com/auth/adwords"
QUERY = (
    "SELECT customer_client.id, customer_client.descriptive_name, customer_client.manager, customer_client.status, "
    "customer_client.level FROM customer_client"
)

PROFILE = Profile(
    provider="google-ads",
    title="Google Ads",
    kind=TokenKind.PLATFORM_OAUTH,
    flow=Flow.REFRESH,
    on_unknown=OnUnknown.REPEAT,
    revoke_scope=RevokeScope.SUBJECT,
    family="google",
    scopes=(ADWORDS, "openid", "email"),
    features={ADWORDS: "Publishing, automation rules and reports"},
    adds_scopes=True,
    pkce=True,
    requests_per_s=20,
    burst=40,
    remove_hint="myaccount.google.com/permissions",
)

_C = RevocationCause
_REFRESH_FIRST = {"OAUTH_TOKEN_EXPIRED", "OAUTH_TOKEN_INVALID", "OAUTH_TOKEN_REVOKED", "OAUTH_TOKEN_DISABLED"}
_ENDED = {
    "GOOGLE_ACCOUNT_DELETED": _C.USER_REVOKED,
    "NOT_ADS_USER": _C.PERMISSION_CHANGED,
    "TWO_STEP_VERIFICATION_NOT_ENROLLED": _C.PLATFORM_ENFORCED,
    "ADVANCED_PROTECTION_NOT_ENROLLED": _C.PLATFORM_ENFORCED,
}
_LOST = {
    "CUSTOMER_NOT_FOUND",
    "USER_PERMISSION_DENIED",
    "CUSTOMER_NOT_ENABLED",
    "INVALID_LOGIN_CUSTOMER_ID_SERVING_CUSTOMER_ID_COMBINATION",
    "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT",
}
_LIMITED = {
    "RESOURCE_EXHAUSTED",
    "RESOURCE_TEMPORARILY_EXHAUSTED",
    "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION",
    "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION",
}
_OURS = ("DEVELOPER_TOKEN_", "PROJECT_DISABLED", "CLOUD_PROJECT_", "MISSING_TOS", "ORGANIZATION_NOT_")


class GoogleAdsProvider(GoogleProvider):
    """The Google Ads API."""

    def __init__(
        self,
        profile: Profile,
        client: Client,
        wire: Wire,
        *,
        tokeninfo_url: str,
        certs_url: str,
        api_url: str,
        developer_token: str,
    ) -> None:
        super().__init__(profile, client, wire, tokeninfo_url=tokeninfo_url, certs_url=certs_url)
        self._api_url = api_url
        self._developer_token = developer_token

    async def accounts(self, secrets: Secrets) -> tuple[PlatformAccount, ...]:
        """Direct customers, and under each manager its children with the `login_customer_id` that reaches them."""
        body = await self.read(self._request("GET", "/customers:listAccessibleCustomers", secrets))
        names = body.get("resourceNames", None if body else [])  # an empty list is left out of the answer
        if not isinstance(names, list):
            raise PlatformError(retry_later("customers_malformed", unrecognised=True))
        found: dict[str, PlatformAccount] = {}
        for name in names:
            direct = str(name).rpartition("/")[2]
            try:
                for account in await self._clients(direct, secrets):
                    found.setdefault(account.external_id, account)
            except PlatformError as error:
                if error.failure.verdict.value != "account_lost_access":
                    raise
                found.setdefault(direct, PlatformAccount(direct, direct, usable=False))
        return tuple(found.values())

    def judge(self, answer: Answer) -> Failure | None:
        """Codes of the error details decide; they stand in `error.details[].errors[].errorCode`."""
        body = json_object(answer) or {}
        error = body.get("error")
        if not isinstance(error, dict):
            return super().judge(answer)
        for code, wait_s in _codes(error):
            failure = classify(code, wait_s)
            if failure is not None:
                return believable(failure, answer)
        if error.get("status") == "RESOURCE_EXHAUSTED":
            return rate_limited("RESOURCE_EXHAUSTED")
        if error.get("status") in ("INTERNAL", "UNAVAILABLE"):
            return retry_later(str(error["status"]))
        if answer.status == 401:  # noqa: PLR2004
            return reauthorize("UNAUTHENTICATED", _C.USER_REVOKED, refresh_first=True)
        return by_status(answer.status, retry_after_s=answer.retry_after_s)

    async def _clients(self, customer: str, secrets: Secrets) -> list[PlatformAccount]:
        body = await self.read(
            self._request(
                "POST",
                f"/customers/{customer}/googleAds:search",
                secrets,
                login_customer_id=customer,
                json={"query": QUERY},
            )
        )
        accounts = []
        for row in objects(body.get("results", []), "search_malformed"):
            client = row.get("customerClient")
            if not isinstance(client, dict) or client.get("manager") is True:
                continue
            external_id = text(client.get("id"))
            if external_id is None:
                continue
            details = {"login_customer_id": customer} if external_id != customer else {}
            accounts.append(
                PlatformAccount(
                    external_id,
                    text(client.get("descriptiveName")) or external_id,
                    usable=client.get("status", "ENABLED") == "ENABLED",
                    details=details,
                )
            )
        return accounts

    def _request(
        self,
        method: str,
        path: str,
        secrets: Secrets,
        *,
        login_customer_id: str | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> Request:
        headers = {
            "Authorization": f"Bearer {secrets.access_token}",
            "developer-token": self._developer_token,
        }
        if login_customer_id:
            headers["login-customer-id"] = login_customer_id
        return Request(method, f"{self._api_url}{path}", headers=headers, json=json)


def classify(code: str, wait_s: float | None = None) -> Failure | None:
    """One Google Ads error code -> class; None for a code that no row knows."""
    if code in _REFRESH_FIRST:
        return reauthorize(code, _C.USER_REVOKED, refresh_first=True)
    if code in _ENDED:
        return reauthorize(code, _ENDED[code])
    if code in _LOST:
        return lost_access(code)
    if code in _LIMITED:
        return rate_limited(code, retry_after_s=wait_s)
    if code.startswith(_OURS):
        return our_bug(code)
    return None


def _codes(error: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    found: list[tuple[str, float | None]] = []
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        inner = detail.get("errors") if isinstance(detail, dict) else None
        for item in inner if isinstance(inner, list) else []:
            codes = item.get("errorCode") if isinstance(item, dict) else None
            if isinstance(codes, dict):
                found.extend((str(code), _delay(item)) for code in codes.values())
    return found


def _delay(item: Mapping[str, Any]) -> float | None:
    details = item.get("details")
    quota = details.get("quotaErrorDetails") if isinstance(details, dict) else None
    delay = str(quota.get("retryDelay", "")) if isinstance(quota, dict) else ""
    number = delay.removesuffix("s")
    return float(number) if number.replace(".", "", 1).isdigit() else None
