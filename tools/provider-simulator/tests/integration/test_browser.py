"""The consent screen in a real browser: what a person clicks is what the app gets."""

from __future__ import annotations

import os
import shutil
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.async_api import Page, Route, async_playwright

from provider_simulator.testing import PUBLIC_URL, Client

APP, SECRET = "100000000000001", "sim-meta-app-secret-0123456789abcdef"
REDIRECT = f"{PUBLIC_URL}/connect/meta/callback"
LINK = {"client_id": APP, "redirect_uri": REDIRECT, "state": "s-1", "scope": "ads_management,ads_read"}
GRAPH = "graph.facebook.com/v23.0"


async def back_at_the_app(page: Page) -> dict[str, str]:
    """The query with which the browser came back; the app itself is answered here."""
    await page.wait_for_url(f"{PUBLIC_URL}/**")
    return dict(parse_qsl(urlsplit(page.url).query))


@pytest.mark.browser
async def test_a_person_unticks_an_account_switches_and_declines(client: Client) -> None:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("CI must run the browser tests, and there is no Chromium here")
        pytest.skip("no Chromium on this machine (on Debian: apt install chromium)")
    link = f"{client.simulator.url}/www.facebook.com/v23.0/dialog/oauth?{urlencode(LINK)}"

    async def app(route: Route) -> None:
        await route.fulfill(body="Welcome back")

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.route(f"{PUBLIC_URL}/**", app)

        await page.goto(link)
        await page.get_by_label("Northwind France").uncheck()
        await page.get_by_role("button", name="Continue as Avery").click()
        back = await back_at_the_app(page)

        await page.goto(link)
        await page.get_by_role("link", name="Jordan Okafor").click()
        await page.get_by_text("Kestrel Germany").wait_for()
        await page.get_by_role("button", name="Cancel").click()
        declined = await back_at_the_app(page)
        await browser.close()

    assert (declined["error"], declined["state"]) == ("access_denied", "s-1")
    given = {"client_id": APP, "client_secret": SECRET, "redirect_uri": REDIRECT, "code": back["code"]}
    token = (await client.get(f"{GRAPH}/oauth/access_token", **given)).json["access_token"]
    listed = (await client.get(f"{GRAPH}/me/adaccounts", access_token=token, fields="name")).json["data"]
    assert [a["name"] for a in listed] == ["Northwind Germany", "Northwind Nordics"]
