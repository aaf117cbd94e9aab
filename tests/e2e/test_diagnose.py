"""Which token is it? Asked through the gateway, about a demo workspace whose tokens are in every state (D1)."""

from typing import Any

import aiohttp
import pytest

from devstack.browser import Browser
from devstack.child_stack import ChildStack

ERRORS: dict[str, dict[str, Any]] = {
    "meta": {"error": {"message": "x", "type": "OAuthException", "code": 190, "error_subcode": 458, "fbtrace_id": "A"}},
    "google-ads": {"error": {"details": [{"errors": [{"errorCode": {"authenticationError": "OAUTH_TOKEN_REVOKED"}}]}]}},
    "tiktok": {"code": 40105, "message": "Access token is incorrect or has been revoked.", "request_id": "1"},
    "snapchat": {"request_status": "ERROR", "error_code": "E3002"},
    "taboola": {"error": "invalid_client"},
    "outbrain": {"message": "OB-TOKEN-V1 is not valid"},
}
#: A provider that was added by settings alone speaks plain RFC 6749.
PLAIN = {"error": "invalid_grant"}


@pytest.mark.timeout(300)
async def test_an_error_leads_to_the_very_token_and_the_page_that_fixes_it(stack: ChildStack) -> None:
    owner = next(user for user in stack.demo["users"] if user["role"] == "owner")
    async with Browser(stack.demo["gateway_url"]) as browser:
        await browser.sign_in(owner["email"], owner["password"])

        async def ask(**question: Any) -> dict[str, Any]:
            answer: dict[str, Any] = await browser.post("/api/v1/tokens/diagnose", question)
            return answer

        async def ask_of(token: dict[str, Any]) -> dict[str, Any]:
            provider, account = token["provider"], token["accounts"][0]["account_id"]
            return await ask(body=ERRORS.get(provider, PLAIN), provider=provider, account_id=account)

        tokens = (await browser.get("/api/v1/tokens", limit="200", kind="platform_oauth"))["items"]
        dead = [token for token in tokens if token["status"] in {"revoked", "expired"} and token["accounts"]]
        assert dead
        for token in dead:
            found = await ask_of(token)
            assert (found["kind"], found["certainty"]) == ("platform_oauth", "high")
            assert (found["token"]["token_id"], found["token"]["status"]) == (token["token_id"], token["status"])
            assert found["fix_url"].startswith(f"{stack.demo['gateway_url']}/connect/{token['provider']}")
            assert token["token_id"] in found["fix_url"]
        alive = next(token for token in tokens if token["status"] == "active" and not token["missing_scopes"])
        fine = await ask_of(alive)
        assert fine["nothing_wrong"]
        assert fine["otherwise"]

        checked = await ask(
            body=ERRORS.get(alive["provider"], PLAIN),
            provider=alive["provider"],
            account_id=alive["accounts"][0]["account_id"],
            check=True,
        )
        assert fine["check"]["asked"] is False
        assert (checked["check"]["asked"], checked["check"]["verified"]) == (True, True)
        assert "was asked just now" in checked["words"]

        chat = await ask(path="/chat", status=401)
        assert (chat["kind"], chat["token"]["status"]) == ("session", "active")
        notices = (await browser.get("/api/v1/notices", limit="100"))["items"]
        about_a_token = next(each for each in notices if each["token_id"])
        told = await ask(notice_id=about_a_token["notice_id"])
        assert told["token"]["token_id"] == about_a_token["token_id"]

    async with aiohttp.ClientSession() as stranger:
        url = f"{stack.demo['gateway_url']}/api/v1/tokens/diagnose"
        async with stranger.post(url, json={"text": "x"}, headers={"Origin": stack.demo["gateway_url"]}) as refused:
            assert refused.status == 401
