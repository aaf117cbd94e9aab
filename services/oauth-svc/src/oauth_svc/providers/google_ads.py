"""Google Ads on top of Google OAuth: customers reached directly, and children of managers (platforms/google-ads.md)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from common.contracts import Verdict
from common.platforms.errors import retry_later
from common.platforms.google_ads import GOOGLE_ADS
from oauth_svc.core.connection import Listing, PlatformAccount
from oauth_svc.core.flow import Flow, OnUnknown, Profile, RevokeScope
from oauth_svc.core.grant import Secrets
from oauth_svc.providers.base import PlatformError, Seen, unseen
from oauth_svc.providers.calling import objects, text
from oauth_svc.providers.google import GoogleProvider
from oauth_svc.providers.rfc6749 import Client
from oauth_svc.providers.wire import Request, Wire

ADWORDS = "https://www.googleapis.com/auth/adwords"
QUERY = (
    "SELECT customer_client.id, customer_client.descriptive_name, customer_client.manager, customer_client.status, "
    "customer_client.level FROM customer_client"
)

PROFILE = Profile(
    provider=GOOGLE_ADS.provider,
    title=GOOGLE_ADS.title,
    kind=GOOGLE_ADS.kind,
    flow=Flow.REFRESH,
    on_unknown=OnUnknown.REPEAT,
    revoke_scope=RevokeScope.SUBJECT,
    family=GOOGLE_ADS.family,
    scopes=(ADWORDS, "openid", "email"),
    features={ADWORDS: "Publishing, automation rules and reports"},
    adds_scopes=True,
    pkce=True,
    requests_per_s=20,
    burst=40,
    # `tokeninfo` is free, and each search is an operation of the project's day (Basic: 15,000).
    list_every=timedelta(days=1),
    remove_hint="myaccount.google.com/permissions",
)


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
        audiences: Sequence[str] = (),
    ) -> None:
        super().__init__(profile, client, wire, tokeninfo_url=tokeninfo_url, certs_url=certs_url, audiences=audiences)
        self._api_url = api_url
        self._developer_token = developer_token

    async def accounts(self, secrets: Secrets, seen: Seen = unseen) -> Listing:
        """List direct customers, and under each manager its children with the `login_customer_id` that reaches them."""
        body = await self.read(self._request("GET", "/customers:listAccessibleCustomers", secrets))
        names = body.get("resourceNames", None if body else [])  # an empty list is left out of the answer
        if not isinstance(names, list):
            raise PlatformError(retry_later("customers_malformed", unrecognised=True))
        found: dict[str, PlatformAccount] = {}
        operations = 1
        for name in names:
            direct = str(name).rpartition("/")[2]
            try:
                clients, searches = await self._clients(direct, secrets)
                operations += searches
                for account in clients:
                    found.setdefault(account.external_id, account)
            except PlatformError as error:
                if error.failure.verdict is not Verdict.ACCOUNT_LOST_ACCESS:
                    raise
                operations += 1
                found.setdefault(direct, PlatformAccount(direct, direct, usable=False))
            seen(len(found))
        return Listing(tuple(found.values()), operations=operations)

    async def _clients(self, customer: str, secrets: Secrets) -> tuple[list[PlatformAccount], int]:
        """Return the customer itself and, for a manager, its clients in pages of 10,000 rows; and how many pages."""
        accounts: list[PlatformAccount] = []
        page, searches = "", 0
        while True:
            searches += 1
            body = await self.read(
                self._request(
                    "POST",
                    f"/customers/{customer}/googleAds:search",
                    secrets,
                    login_customer_id=customer,
                    json={"query": QUERY} | ({"pageToken": page} if page else {}),
                )
            )
            accounts.extend(self._of_page(customer, body))
            following = body.get("nextPageToken")
            if not isinstance(following, str) or not following or following == page:
                return accounts, searches
            page = following

    def _of_page(self, customer: str, body: Mapping[str, Any]) -> list[PlatformAccount]:
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
        headers = {"Authorization": f"Bearer {secrets.access_token}"}
        if self._developer_token:  # sunset on 2026-09-09: access belongs to the Cloud project, so only where it is set
            headers["developer-token"] = self._developer_token
        if login_customer_id:
            headers["login-customer-id"] = login_customer_id
        return Request(method, f"{self._api_url}{path}", headers=headers, json=json)
