"""A real Chromium that looks at the running gateway."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

if TYPE_CHECKING:
    from testbed import Person, World

ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOON_MS = 15_000
TOKEN_PATH = "/api/v1/auth/token"


@dataclass
class Profile:
    """One browser profile: one cookie jar, some tabs."""

    world: "World"
    context: BrowserContext
    errors: list[str] = field(default_factory=list)
    """What went wrong in scripts, and what the content policy blocked. Must stay empty."""
    asked: list[str] = field(default_factory=list)
    """The methods with which the tabs have asked for a JWT, in order."""

    async def tab(self, path: str) -> Page:
        """A new tab at this path."""
        page = await self.context.new_page()

        def blocked(said: ConsoleMessage) -> None:
            if "Content Security Policy" in said.text or "TrustedHTML" in said.text:
                self.errors.append(said.text)

        def count(request: Request) -> None:
            if request.url.endswith(TOKEN_PATH):
                self.asked.append(request.method)

        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", blocked)
        page.on("request", count)
        await page.goto(self.world.gateway_url + path)
        return page

    async def has_signed_in(self, person: "Person") -> None:
        """Somebody has signed in before in this browser: it holds their cookie."""
        signed_in = await self.world.signed_in(person)
        assert signed_in.cookie is not None
        await self.context.add_cookies(
            [
                {
                    "name": "wevion_session",
                    "value": signed_in.cookie,
                    "url": self.world.gateway_url,
                    "httpOnly": True,
                    "sameSite": "Lax",
                }
            ]
        )

    async def looks_at(self, person: "Person", path: str = "/settings/sessions") -> Page:
        """A tab in which this person, signed in before, sees this page."""
        await self.has_signed_in(person)
        page = await self.tab(path)
        await expect(page.locator(".who-name")).to_be_visible(timeout=SOON_MS)
        return page

    async def fill(self, page: Page, email: str, password: str) -> None:
        """Fill the form of the sign-in page in, and send it."""
        await page.get_by_label("Email address").first.fill(email)
        await page.get_by_label("Password", exact=True).fill(password)
        await page.get_by_role("button", name="Sign in").click()

    async def call(self, page: Page, method: str, path: str, body: object = None) -> Any:
        """What a script of the page would do; the answer's status and JSON."""
        return await page.evaluate(
            """async ([method, path, body]) => {
              const headers = body === null ? {} : { "Content-Type": "application/json" };
              const sent = { method, headers, body: body === null ? undefined : JSON.stringify(body) };
              const answer = await fetch(path, sent);
              const text = await answer.text();
              return { status: answer.status, body: text ? JSON.parse(text) : null };
            }""",
            [method, path, body],
        )

    async def bare(self, **options: float) -> Page:
        """A tab with nothing in it but a started session module, as `window.session`."""
        page = await self.tab("/reset-password#token=none")
        await page.evaluate(
            """async (options) => {
              const { Session } = await import("/static/latest/session.js");
              window.kinds = [];
              window.session = new Session(options);
              window.session.addEventListener("change", ({ detail }) => window.kinds.push(detail.kind));
              await window.session.start();
            }""",
            options,
        )
        return page

    async def state(self, page: Page) -> dict[str, Any]:
        """What the session module of this tab holds to be true (of a console page, the console's own)."""
        found: dict[str, Any] = await page.evaluate(
            """async () => {
              const app = document.querySelector('script[src$="/app.js"]');
              const session = window.session ?? (await import(app.src)).session;
              return { ...session.state, renewsAt: session.renewsAt?.getTime() ?? null };
            }"""
        )
        return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Started once; each test has profiles of its own."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("CI must run the browser tests, and there is no Chromium here")
        pytest.skip("no Chromium on this machine (on Debian: apt install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=ARGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def profile(chromium: Browser, world: "World") -> AsyncIterator[Profile]:
    """A fresh browser profile, in Berlin."""
    context = await chromium.new_context(
        timezone_id="Europe/Berlin", locale="en-GB", extra_http_headers={"X-Forwarded-For": world.address}
    )
    made = Profile(world, context)
    yield made
    await context.close()
    assert made.errors == []


@pytest_asyncio.fixture(loop_scope="session")
async def other_profile(chromium: Browser, world: "World") -> AsyncIterator[Profile]:
    """Another browser, on another machine."""
    context = await chromium.new_context(extra_http_headers={"X-Forwarded-For": world.address})
    made = Profile(world, context)
    yield made
    await context.close()
    assert made.errors == []
