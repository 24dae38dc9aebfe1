"""How the page lets its visitor in, in a browser: the server's part is the real app, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, expect

from libacli.config import Settings
from libacli.web.app import make_app
from libacli.web.keys import new_key
from libacli.web.memory_stores import MemorySessions
from libacli.web.services import WebApp
from tests.web.conftest import ADDRESS, connected
from tests.web.fake_gateway import FakeGateway

pytestmark = pytest.mark.live

KEY, ENTRY = new_key("laptop")

BLOCKED_STORAGE = """
for (const name of ["sessionStorage", "localStorage"]) {
  const get = () => { throw new DOMException("Access is denied", "SecurityError"); };
  Object.defineProperty(window, name, {get});
}
"""
"""What a browser does that blocks all cookies."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def app(gateway: FakeGateway) -> WebApp:
    return make_app(Settings(serve_keys=(ENTRY,)), gateway, address=ADDRESS)


@pytest.fixture
async def page(browser: Browser, app: WebApp) -> AsyncIterator[Page]:
    """A browser of its own, whose server is `app`; of events it gets none."""
    context = await browser.new_context(base_url=ADDRESS)
    async with connected(app) as client:

        async def answer(route: Route) -> None:
            asked = route.request
            path = asked.url.removeprefix(ADDRESS)
            if urlsplit(path).path == "/api/events":
                await route.abort()
                return
            headers = {name: value for name, value in asked.headers.items() if name != "host"}
            told = await client.request(asked.method, path, content=asked.post_data_buffer, headers=headers)
            await route.fulfill(status=told.status_code, headers=dict(told.headers), body=told.content)

        await context.route("**/*", answer)
        yield await context.new_page()
        await context.close()


async def link(app: WebApp, *, can_say: bool = True, can_control: bool = True) -> str:
    code = await app.services.sessions.new_code("demo", can_say=can_say, can_control=can_control)
    return f"{ADDRESS}/#room=demo&code={code.secret}"


async def say(page: Page, gateway: FakeGateway) -> None:
    """Says something at the page; it is let in if an agent gets it."""
    await page.get_by_role("textbox", name="What to say").fill("Hello.")
    async with page.expect_response("**/api/say") as answered:
        await page.get_by_role("button", name="Speak", exact=True).click()
    assert (await answered.value).status == 202
    assert [request.text for request in gateway.agents["demo"].requests] == ["Hello."]


async def test_a_link_lets_in_and_is_remembered_when_the_page_is_loaded_anew(
    page: Page, app: WebApp, gateway: FakeGateway
) -> None:
    await page.goto(await link(app))
    await expect(page.locator("#desk")).to_be_visible()
    await page.reload()
    await say(page, gateway)
    await expect(page.locator("#facts")).not_to_contain_text("stores nothing")


async def test_a_link_lets_in_where_the_browser_stores_nothing_and_the_page_says_so(
    page: Page, app: WebApp, gateway: FakeGateway
) -> None:
    await page.add_init_script(BLOCKED_STORAGE)
    await page.goto(await link(app))
    await say(page, gateway)
    await expect(page.locator("#key-alert")).to_have_text("")
    await expect(page.locator("#facts")).to_contain_text("stores nothing")
    await page.reload()
    await expect(page.locator("#key-form")).to_be_visible()


async def test_an_audience_may_speak_and_has_no_button_to_stop_others(
    page: Page, app: WebApp, gateway: FakeGateway
) -> None:
    await page.goto(await link(app, can_control=False))
    await say(page, gateway)
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()


async def test_a_link_gives_the_rights_that_are_ticked_and_none_that_its_maker_has_not(
    page: Page, app: WebApp
) -> None:
    await page.goto(await link(app))
    await page.get_by_role("button", name="Link for another screen").click()
    for box in ("It may speak too", "It may stop what is spoken, and go first"):
        async with page.expect_response("**/api/link") as answered:
            await page.get_by_label(box).check()
        assert (await answered.value).status == 200
    kept = app.services.sessions._store
    assert isinstance(kept, MemorySessions)
    rights = [(code.can_say, code.can_control) for code in kept._codes.values()]
    assert rights == [(False, False), (True, False), (True, True)]
    await page.goto("about:blank")
    await page.goto(await link(app, can_control=False))
    await page.get_by_role("button", name="Link for another screen").click()
    await page.get_by_label("It may speak too").check()
    await expect(page.get_by_label("It may stop what is spoken, and go first")).to_be_hidden()


async def test_a_key_lets_in_where_the_browser_stores_nothing(page: Page, gateway: FakeGateway) -> None:
    await page.add_init_script(BLOCKED_STORAGE)
    await page.goto("/")
    await page.get_by_label("API key").fill(KEY)
    await page.get_by_role("button", name="Enter", exact=True).click()
    await say(page, gateway)
    await expect(page.locator("#key-form")).to_be_hidden()


async def test_who_is_not_let_in_any_more_is_asked_for_a_key_where_the_browser_stores_nothing(
    page: Page, app: WebApp
) -> None:
    await page.add_init_script(BLOCKED_STORAGE)
    await page.goto(await link(app))
    await expect(page.locator("#desk")).to_be_visible()
    for session in await app.services.sessions.all():
        await app.services.sessions.end(session)
    await page.locator("#stop").dispatch_event("click")  # the page may be quicker, and have hidden it
    await expect(page.locator("#key-form")).to_be_visible()


async def test_a_code_that_does_not_work_is_told_as_that(page: Page) -> None:
    await page.goto("/#room=demo&code=guess")
    await expect(page.locator("#key-alert")).to_have_text(
        "The link does not let you in. This code was used already, or is too old. Get a new link."
    )


async def test_a_code_that_no_camera_could_use_is_not_shown_and_the_command_is(
    page: Page, app: WebApp
) -> None:
    await page.goto(await link(app))
    await page.get_by_role("button", name="Link for another screen").click()
    await expect(page.locator("#share-url")).to_be_visible()
    await expect(page.locator("#share-code")).to_be_hidden()
    await expect(page.locator("#share-text")).to_contain_text("liba serve --new-key NAME")


async def test_where_others_reach_the_page_its_code_is_shown(page: Page, app: WebApp) -> None:
    outside = {"url": "http://192.0.2.7:8080/#room=demo&code=x", "qr_svg": "<svg></svg>", "expires_in_s": 600}
    await page.route("**/api/link", lambda route: route.fulfill(json=outside))
    await page.goto(await link(app))
    await page.get_by_role("button", name="Link for another screen").click()
    await expect(page.locator("#share-code")).to_be_visible()
    await expect(page.locator("#share-text")).to_contain_text("point a camera at the code")
