"""Many tabs of the page in one browser, which has six connections to a website over HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Browser, expect

from libacli.web.services import WebApp
from tests.web.fake_gateway import FakeGateway
from tests.web.serving import serving

pytestmark = pytest.mark.live

TABS = 7
NO_LOCKS = "Object.defineProperty(navigator, 'locks', {get: () => undefined});"
BLOCKED = """
for (const name of ["sessionStorage", "localStorage"]) {
  Object.defineProperty(window, name, {get: () => { throw new DOMException("denied", "SecurityError"); }});
}
navigator.locks.request = () => Promise.reject(new DOMException("denied", "SecurityError"));
window.BroadcastChannel = function () { throw new DOMException("denied", "SecurityError"); };
"""
"""What browsers do that block all cookies, and storage with them."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - what is waited for is done by a browser
            await asyncio.sleep(0.05)


async def test_many_tabs_share_one_stream_and_when_its_tab_is_closed_another_one_goes_on(
    browser: Browser, gateway: FakeGateway
) -> None:
    gateway.comes("demo")
    async with AsyncExitStack() as stack:
        port, server = await stack.enter_async_context(serving(gateway, path="/liba"))
        app = server.config.app
        assert isinstance(app, WebApp)
        streams = app.services.open_streams
        context = await browser.new_context()
        stack.push_async_callback(context.close)
        await context.route("**/vendor/**", lambda route: route.abort())  # there is no LiveKit
        tabs = []
        for _ in range(TABS):
            tabs.append(await context.new_page())
            await tabs[-1].goto(f"http://127.0.0.1:{port}/liba/")
        for tab in tabs:
            await expect(tab.locator("#state-words")).to_have_text("Ready", timeout=30_000)
        assert sum(streams._open.values()) == 1
        await tabs[-1].locator("#text").fill("Hello to all tabs.")
        await tabs[-1].locator("#speak").click()
        await until(lambda: bool(gateway.agents["demo"].requests))
        utterance_id = gateway.agents["demo"].requests[0].id
        await tabs[0].close()  # the one that follows
        gateway.becomes("demo", utterance_id, "speaking")
        for tab in (tabs[1], tabs[-1]):
            await expect(tab.locator("#state-words")).to_have_text("Speaking", timeout=30_000)
        await until(lambda: sum(streams._open.values()) == 1)


@pytest.mark.parametrize("script", [NO_LOCKS, BLOCKED], ids=["no locks", "blocked"])
async def test_where_tabs_cannot_share_each_follows_and_one_too_many_says_what_is_wrong(
    browser: Browser, gateway: FakeGateway, script: str
) -> None:
    gateway.comes("demo")
    async with AsyncExitStack() as stack:
        port, _ = await stack.enter_async_context(serving(gateway))
        context = await browser.new_context()
        stack.push_async_callback(context.close)
        await context.route("**/vendor/**", lambda route: route.abort())
        await context.add_init_script(script)
        for words in [*["Ready"] * 4, "4 event streams of this caller are open already"]:
            tab = await context.new_page()
            await tab.goto(f"http://127.0.0.1:{port}/")
            await expect(tab.locator("#state-words")).to_contain_text(words, timeout=30_000)
        await expect(tab.locator("#state-words")).to_contain_text("Close a page that follows a room")
