"""A mail client's one click (RFC 8058), on a running stack: through the gateway, without session and Origin."""

import asyncio
from typing import Any

import aiohttp
import pytest

from devstack.browser import Browser
from devstack.child_stack import ChildStack

STORY_TIMEOUT_S = 200
PREFERENCES = "/api/v1/notification-preferences"
BODY = "List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def _newest_mail(http: aiohttp.ClientSession, demo: dict[str, Any], to: str) -> dict[str, Any]:
    query = {"to": to, "limit": "1", "wait_s": "9"}
    async with http.get(demo["mailbox_url"], params=query, headers={"Accept": "application/json"}) as answer:
        mail: dict[str, Any] = (await answer.json())["messages"][0]
        return mail


async def _post(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with http.post(url, data=BODY, headers=FORM) as answer:
        return answer.status, await answer.text()


async def _click(demo: dict[str, Any]) -> None:
    owner = next(user for user in demo["users"] if user["role"] == "owner")
    async with aiohttp.ClientSession() as http, Browser(demo["gateway_url"]) as browser:
        await browser.sign_in(owner["email"], owner["password"])
        before = (await browser.get(PREFERENCES))["own"]
        mail = await _newest_mail(http, demo, owner["email"])
        assert mail["headers"]["List-Unsubscribe-Post"] == BODY
        link = "".join(mail["headers"]["List-Unsubscribe"].split()).strip("<>")
        assert link.startswith(demo["gateway_url"] + PREFERENCES)

        status, page = await _post(http, link[:-4] + "AAAA")
        assert (status, "Nothing was changed" in page) == (400, True)
        assert (await browser.get(PREFERENCES))["own"] == before

        status, page = await _post(http, link)
        assert (status, "These mails have stopped" in page) == (200, True)
        after = (await browser.get(PREFERENCES))["own"]["channels"]["email"]
        stopped = {code for code, wanted in after.items() if not wanted}
        assert stopped - {code for code, wanted in before["channels"]["email"].items() if not wanted}
        await browser.call("PUT", PREFERENCES, json=before)


@pytest.mark.timeout(300)
def test_one_click_in_a_mail_stops_such_mails(stack: ChildStack) -> None:
    story = stack.tell_demo()
    printed, _ = story.communicate(timeout=STORY_TIMEOUT_S)
    assert story.returncode == 0, printed
    asyncio.run(_click(stack.demo))
