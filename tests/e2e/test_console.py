"""The console in a real Chromium, on the whole stack: what a person sees and clicks, without ever reloading (E4)."""

import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from common.runtime.ids import new_id
from devstack import stack as stacks
from devstack.layout import Layout
from devstack.platforms import Platforms

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

RUNNING_STACK = "E2E_STACK"
"""The folder of a stack that already runs (as `make run` leaves one in `.local`), to be used instead of a new one."""

CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOON_MS = 20_000


@dataclass(frozen=True)
class Console:
    """The running stack and a browser, as one test sees them."""

    demo: dict[str, Any]
    browser: Browser
    platforms: Platforms

    @property
    def url(self) -> str:
        return str(self.demo["gateway_url"])

    def user(self, role: str) -> dict[str, str]:
        found: dict[str, str] = next(user for user in self.demo["users"] if user["role"] == role)
        return found

    @asynccontextmanager
    async def signed_in(self, role: str) -> AsyncIterator["Person"]:
        """A person who has signed in by the form, and looks at the connections."""
        context = await self.browser.new_context(timezone_id="Europe/Berlin", locale="en-GB")
        person = Person(self, context, [])
        page = await person.tab("/")
        await expect(page).to_have_url(f"{self.url}/sign-in?reason=token_missing&return_to=%2Fconnections")
        await page.get_by_label("Email address").first.fill(self.user(role)["email"])
        await page.get_by_label("Password", exact=True).fill(self.user(role)["password"])
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Connections", exact=True)).to_be_visible(timeout=SOON_MS)
        yield person
        assert person.errors == []
        await context.close()


@dataclass(frozen=True)
class Person:
    """One browser profile."""

    console: Console
    context: BrowserContext
    errors: list[str]

    async def tab(self, path: str) -> Page:
        """A new tab. What goes wrong in its scripts fails the test, and so does what the content policy blocks."""
        page = await self.context.new_page()

        def blocked(said: ConsoleMessage) -> None:
            if "Content Security Policy" in said.text:
                self.errors.append(said.text)

        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", blocked)
        await page.goto(self.console.url + path)
        return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    """The whole stack and a Chromium, for all tests of this file."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("CI must run the browser tests, and there is no Chromium here")
        pytest.skip("no Chromium on this machine (on Debian: apt install chromium)")
    async with async_playwright() as playwright, aiohttp.ClientSession() as http:
        browser = await playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGS)
        async with _stack(tmp_path_factory) as demo:
            yield Console(demo, browser, Platforms(http, demo["simulator_control_url"]))
        await browser.close()


@asynccontextmanager
async def _stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Any]]:
    if running := os.environ.get(RUNNING_STACK):
        yield json.loads(Layout(Path(running)).demo_file.read_text())
        return
    said: list[str] = []
    layout = Layout(tmp_path_factory.mktemp("stack"))
    async with stacks.running(layout, replicas={}, out=said.append):
        yield json.loads(layout.demo_file.read_text())


async def allow(page: Page, *, without: str | None = None) -> None:
    """Say yes on the platform's consent screen, perhaps without one permission or account."""
    await expect(page.get_by_role("heading", name="asks for access")).to_be_visible(timeout=SOON_MS)
    if without is not None:
        await page.locator(f'input[value="{without}"]').uncheck()
    await page.locator("button.yes").click()


def meta(page: Page) -> Any:
    """The Meta connection on the page."""
    return page.locator("article", has=page.get_by_role("heading", name="Meta")).first


async def call(page: Page, method: str, path: str, body: object = None) -> Any:
    """What a script of the frontend would do."""
    return await page.evaluate(
        """async ([method, path, body]) => {
          const headers = body === null ? {} : { "Content-Type": "application/json" };
          const answer = await fetch(path, { method, headers, body: body === null ? undefined : JSON.stringify(body) });
          const text = await answer.text();
          if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
          return text ? JSON.parse(text) : null;
        }""",
        [method, path, body],
    )


async def test_the_whole_loop_is_seen_and_clicked_without_reloading(console: Console) -> None:
    async with console.signed_in("owner") as owner:
        first = owner.context.pages[0]
        if not await meta(first).is_visible():
            await first.get_by_role("link", name="Meta Connect").click()
            await allow(first)
            await expect(first.get_by_text("Its accounts were checked at the platform.")).to_be_visible(timeout=SOON_MS)
        await expect(meta(first).locator("dd").first).to_have_text("you")
        await expect(meta(first).locator("li")).to_have_count(3)
        connection = (await call(first, "GET", "/api/v1/connections?provider=meta"))["items"][0]
        rule = {"name": "Stop at 40", "account_ids": [connection["accounts"][0]["account_id"]], "revision": 1}
        await call(first, "PUT", f"/api/v1/rules/{new_id()}", rule)

        loads: list[str] = []
        tabs = {path: await owner.tab(path) for path in ("/connections", "/notices", "/rules", "/data-gaps")}
        for tab in tabs.values():
            await expect(tab.locator("h1")).to_be_visible()
            tab.on("framenavigated", lambda frame: loads.append(frame.url))
        await expect(tabs["/rules"].locator('article[data-status="runs"]').first).to_be_visible(timeout=SOON_MS)

        await console.platforms.revoke("meta", "avery", cause="user_revoked")

        dead = tabs["/connections"].locator('article[data-status="revoked"]')
        await expect(dead.get_by_text("Somebody removed Wevion at Meta.")).to_be_visible(timeout=SOON_MS)
        await expect(dead.get_by_role("link", name="Re-authorise Meta")).to_be_visible()
        paused = tabs["/rules"].locator('article[data-status="auto"]')
        await expect(paused.get_by_text("Paused by Wevion")).to_be_visible(timeout=SOON_MS)
        told = tabs["/notices"].locator('article[data-code="TOKEN_REVOKED"]:not(.over)')
        await expect(told.get_by_role("heading", name="Meta access was ended")).to_be_visible(timeout=SOON_MS)
        await expect(tabs["/data-gaps"].get_by_text("Still open").first).to_be_visible(timeout=SOON_MS)

        await meta(first).get_by_role("link", name="Re-authorise Meta").click()
        await allow(first)

        await expect(first.get_by_text("Meta works again. Its accounts were checked")).to_be_visible(timeout=SOON_MS)
        await expect(meta(tabs["/connections"]).get_by_text("Works", exact=True).first).to_be_visible(timeout=SOON_MS)
        await expect(tabs["/rules"].locator('article[data-status="auto"]')).to_have_count(0, timeout=SOON_MS)
        resolved = tabs["/notices"].locator('article.over[data-code="TOKEN_REVOKED"]')
        await expect(resolved.first).to_be_visible(timeout=SOON_MS)
        await expect(tabs["/data-gaps"].get_by_text("Still open")).to_have_count(0, timeout=SOON_MS)
        await expect(tabs["/data-gaps"].locator("tbody tr").first).to_be_visible()
        assert loads == []


async def test_a_member_sees_integrations_and_whom_to_ask(console: Console) -> None:
    async with console.signed_in("member") as member:
        page = member.context.pages[0]
        await page.get_by_role("link", name="Integrations").click()

        ask = page.get_by_text("Only admins and the owner can connect or re-authorise an integration.")
        await expect(ask).to_contain_text(f"{console.user('owner')['name']} (owner)", timeout=SOON_MS)
        await expect(ask).to_contain_text(f"{console.user('admin')['name']} (admin)")
        await expect(page.locator('main a[href^="/connect/"]')).to_have_count(0)


@pytest.mark.parametrize(
    ("title", "provider", "names"),
    [("Taboola", "taboola", ("client_id", "client_secret")), ("Outbrain", "outbrain", ("username", "password"))],
)
async def test_a_platform_that_asks_for_credentials_is_connected_by_its_form(
    console: Console, title: str, provider: str, names: tuple[str, str]
) -> None:
    """A browser sends a form's origin by the policy of the page that has it; refused once, then taken."""
    key = f"form-{new_id().hex[:8]}"
    order = {"key": key, "name": "Fay Form", "email": f"{key}@northwind.example", "brand": "Northwind"}
    made = await console.platforms.order("POST", "/_sim/people", {**order, "accounts": {provider: 2}})
    right = {
        "taboola": (f"taboola-{key}", f"secret-{key}"),
        "outbrain": (made["email"], made["password"]),
    }[provider]
    async with console.signed_in("owner") as owner:
        page = owner.context.pages[0]
        await page.get_by_role("link", name=f"{title} Connect").click()
        await expect(page.get_by_role("heading", name=f"Connect {title}")).to_be_visible(timeout=SOON_MS)
        for values in ((right[0], "not the right one"), right):
            for name, value in zip(names, values, strict=True):
                await page.locator(f'input[name="{name}"]').fill(value)
            await page.get_by_role("button", name="Connect").click()
            if values is not right:
                await expect(page.get_by_role("alert")).to_be_visible(timeout=SOON_MS)
        await expect(page).to_have_url(re.compile("/connections"), timeout=SOON_MS)
        connected = (await call(page, "GET", f"/api/v1/connections?provider={provider}&limit=200"))["items"]
        assert any(account["name"] for one in connected if one["status"] == "active" for account in one["accounts"])


async def test_which_token_is_it_is_answered_for_a_pasted_error(console: Console) -> None:
    """Row D1: the kind, how sure, what happened to that very token, and the fix."""
    async with console.signed_in("owner") as owner:
        page = owner.context.pages[0]
        await page.get_by_role("link", name="Which token?").click()
        pasted = {"error": {"message": "Session has expired", "type": "OAuthException", "code": 190}}
        await page.get_by_label("The error or notice").fill(json.dumps(pasted))
        await page.get_by_role("button", name="Find the token").click()
        found = page.locator('article[data-kind="platform_oauth"]')
        await expect(found.get_by_role("heading", name="The connection to an ad platform (Meta)")).to_be_visible(
            timeout=SOON_MS
        )
        await found.get_by_text("Why this answer").click()
        await expect(found.locator("details li").first).to_be_visible()

        await page.get_by_label("The error or notice").fill("  ")
        await page.get_by_role("button", name="Find the token").click()
        await expect(page.locator(".toast")).to_contain_text("give at least one of", timeout=SOON_MS)
