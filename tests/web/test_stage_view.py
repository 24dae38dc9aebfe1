"""The picture alone, and websites that embed it, in a browser; with a room: tests/live/test_page.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from libacli.config import Settings
from libacli.web.keys import new_key
from libacli.web.services import WebApp
from tests.browser import axe
from tests.web.fake_gateway import FakeGateway
from tests.web.serving import serving

pytestmark = pytest.mark.live

KEY, ENTRY = new_key("laptop")
WAIT_MS = 30_000

PLAYER = """
export const DisconnectReason = {}, RoomEvent = {};
export const setLogLevel = () => {};
export class Room {
  on() { return this; }
  once() { return this; }
  removeAllListeners() {}
  registerTextStreamHandler() {}
  async connect() {}
  disconnect() {}
}
"""
"""A player that joins, and gets neither sound nor picture: there is no LiveKit."""

BLOCKED = """
for (const name of ["sessionStorage", "localStorage"]) {
  Object.defineProperty(window, name, {get: () => { throw new DOMException("denied", "SecurityError"); }});
}
"""
"""What a browser does in frames of other websites whose cookies it blocks, and storage with them."""

SEEN = """() => [...document.querySelectorAll("main *")]
  .filter((one) => !one.matches(".unseen") && one.checkVisibility({opacityProperty: true}))
  .map((one) => one.id)"""
"""What of the stage can be seen."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser of its own."""
    context = await browser.new_context()
    await context.route(
        "**/vendor/*.mjs", lambda route: route.fulfill(body=PLAYER, content_type="text/javascript")
    )
    yield context
    await context.close()


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    return await context.new_page()


async def is_joined(page: Page) -> None:
    await expect(page.locator("html")).to_have_attribute("data-state", "on", timeout=WAIT_MS)


async def link(server_app: object, port: int, room: str = "demo") -> str:
    """A link to the stage that lets one browser in."""
    assert isinstance(server_app, WebApp)
    code = await server_app.services.sessions.new_code(room, can_say=False)
    return f"http://127.0.0.1:{port}/?view=stage#room={room}&code={code.secret}"


@asynccontextmanager
async def website() -> AsyncIterator[str]:
    """The origin of one whose page shows in a frame what its address has behind `?`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        shown = request.split(" ")[1].partition("?")[2]
        body = f'<!doctype html><title>other</title><iframe src="{shown}" allow="autoplay"></iframe>'
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close"
        )
        writer.write(f"{head}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def is_shown(page: Page, address: str, by: str) -> bool:
    """Whether a browser shows `address` in a frame of the website `by`."""
    await page.goto(f"{by}/?{address}")
    frame = page.frames[1]
    await frame.wait_for_load_state()
    return bool(await frame.evaluate("location.protocol === 'http:'"))


@pytest.mark.parametrize("path", ["/", "/?view=stage"])
async def test_websites_that_are_listed_embed_it_and_others_do_not(
    page: Page, gateway: FakeGateway, path: str
) -> None:
    async with AsyncExitStack() as stack:
        listed, other = [await stack.enter_async_context(website()) for _ in range(2)]
        settings = Settings(serve_embed=("https://example.org", listed))
        port, _ = await stack.enter_async_context(serving(gateway, settings))
        assert await is_shown(page, f"http://127.0.0.1:{port}{path}", listed)
        assert not await is_shown(page, f"http://127.0.0.1:{port}{path}", other)


async def test_nobody_embeds_it_where_none_is_listed(page: Page, gateway: FakeGateway) -> None:
    async with website() as other, serving(gateway) as (port, _):
        assert not await is_shown(page, f"http://127.0.0.1:{port}/?view=stage", other)


@pytest.mark.parametrize("script", ["", BLOCKED], ids=["storage", "no storage"])
async def test_in_a_frame_of_another_website_it_is_let_in_by_its_link_without_a_cookie(
    context: BrowserContext, page: Page, gateway: FakeGateway, script: str
) -> None:
    await context.add_init_script(script)
    async with AsyncExitStack() as stack:
        # Another name of this machine is another site, as a browser has it.
        origin = (await stack.enter_async_context(website())).replace("127.0.0.1", "localhost")
        settings = Settings(serve_embed=(origin,), serve_keys=(ENTRY,))
        port, server = await stack.enter_async_context(serving(gateway, settings))
        address = await link(server.config.app, port)
        await page.goto(origin)
        await page.evaluate("address => { document.querySelector('iframe').src = address; }", address)
        inside = page.frame_locator("iframe").locator("html")
        await expect(inside).to_have_attribute("data-state", "on", timeout=WAIT_MS)
        assert await context.cookies() == []
        assert [room for room, *_ in gateway.joined] == ["demo"]


async def test_where_there_is_no_picture_nothing_is_seen_and_all_is_transparent(
    page: Page, gateway: FakeGateway
) -> None:
    async with serving(gateway) as (port, _):
        await page.goto(f"http://127.0.0.1:{port}/?view=stage&captions=1")
        await is_joined(page)
        assert await page.evaluate(SEEN) == []
        assert await page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == (
            "rgba(0, 0, 0, 0)"
        )
        assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert await axe(page) == []


async def test_the_background_is_the_colour_that_its_address_asks_for(
    page: Page, gateway: FakeGateway
) -> None:
    async with serving(gateway) as (port, _):
        await page.goto(f"http://127.0.0.1:{port}/?view=stage&background=%2300b140&fit=cover")
        await is_joined(page)
    assert await page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == (
        "rgb(0, 177, 64)"
    )
    assert await page.evaluate("getComputedStyle(document.querySelector('video')).objectFit") == "cover"


async def test_a_server_that_comes_later_is_waited_for_with_nobody_there(
    page: Page, gateway: FakeGateway
) -> None:
    async with serving(gateway) as (port, _):
        is_away = True

        async def answer(route: Route) -> None:
            await (route.abort() if is_away else route.continue_())

        await page.route("**/api/page", answer)
        await page.goto(f"http://127.0.0.1:{port}/?view=stage")
        await expect(page.locator("html")).to_have_attribute("data-state", "offline")
        assert await page.evaluate(SEEN) == []
        is_away = False
        await page.evaluate("dispatchEvent(new Event('online'))")
        await is_joined(page)


async def test_one_that_is_opened_again_with_a_link_that_was_used_comes_in_by_what_it_has_kept(
    context: BrowserContext, page: Page, gateway: FakeGateway
) -> None:
    async with serving(gateway, Settings(serve_keys=(ENTRY,))) as (port, server):
        address = await link(server.config.app, port)
        await page.goto(address)
        await is_joined(page)
        assert page.url == f"http://127.0.0.1:{port}/?view=stage#room=demo"
        await page.close()
        again = await context.new_page()
        await again.goto(address)
        await is_joined(again)
        elsewhere = await context.new_page()
        await elsewhere.goto(f"http://127.0.0.1:{port}/?view=stage#room=other")
        await expect(elsewhere.locator("html")).to_have_attribute("data-state", "locked", timeout=WAIT_MS)


async def test_one_that_is_not_let_in_shows_a_dot_and_says_why_to_who_asks_it(
    page: Page, gateway: FakeGateway
) -> None:
    async with serving(gateway, Settings(serve_keys=(ENTRY,))) as (port, _):
        await page.goto(f"http://127.0.0.1:{port}/?view=stage#room=demo&code=guess")
        await expect(page.locator("html")).to_have_attribute("data-state", "locked", timeout=WAIT_MS)
        assert await page.evaluate(SEEN) == ["dot"]
        await expect(page.get_by_role("status")).to_contain_text("open a new one")
        assert await axe(page) == []


async def test_one_whose_session_has_ended_says_so_and_keeps_nothing_of_it(
    page: Page, gateway: FakeGateway
) -> None:
    async with serving(gateway, Settings(serve_keys=(ENTRY,))) as (port, server):
        app = server.config.app
        assert isinstance(app, WebApp)
        await page.goto(await link(app, port))
        await is_joined(page)
        for session in await app.services.sessions.all():
            await app.services.sessions.end(session)
        await page.evaluate("sessionStorage.clear()")  # the token that it has is good for ten minutes
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-state", "locked", timeout=WAIT_MS)
        assert await page.evaluate("localStorage.getItem('liba.stage')") is None
