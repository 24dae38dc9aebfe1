"""A line on standby at the page, in a browser: it is shown, and one button begins it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Literal

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from libacli.config import Settings
from libacli.core.event import Event, Report
from libacli.web.keys import new_key
from libacli.web.services import WebApp
from tests.browser import axe, controls, tab_round
from tests.web.fake_gateway import FakeAgent, FakeGateway
from tests.web.serving import serving

pytestmark = pytest.mark.live

KEY, ENTRY = new_key("laptop")
OPEN_ALL = "localStorage.setItem('liba.viewing', JSON.stringify({hasDetails: true}))"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def agent(gateway: FakeGateway) -> FakeAgent:
    return gateway.comes("demo")


async def opened(stack: AsyncExitStack, browser: Browser, gateway: FakeGateway, *, can_control: bool) -> Page:
    """The page of somebody who was let in by a link."""
    port, server = await stack.enter_async_context(serving(gateway, Settings(serve_keys=(ENTRY,))))
    app = server.config.app
    assert isinstance(app, WebApp)
    code = await app.services.sessions.new_code("demo", can_say=True, can_control=can_control)
    context = await browser.new_context()
    stack.push_async_callback(context.close)
    await context.route("**/vendor/**", lambda route: route.abort())  # there is no LiveKit
    await context.add_init_script(OPEN_ALL)
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{port}/#room=demo&code={code.secret}")
    await expect(page.locator("#state-words")).to_have_text("Ready", timeout=30_000)
    return page


@pytest.fixture
async def page(browser: Browser, gateway: FakeGateway, agent: FakeAgent) -> AsyncIterator[Page]:
    """That of somebody who may control."""
    async with AsyncExitStack() as stack:
        yield await opened(stack, browser, gateway, can_control=True)


def stands_by(gateway: FakeGateway, *ids: str, standby: bool = True) -> None:
    """The agent takes lines, which wait for their go-ahead."""
    agent = gateway.agents["demo"]
    for id in ids:
        report = Report(id, "accepted", standby=standby)
        agent.reports[id] = report.encode()
        gateway.tell("demo", Event(agent.facts(), report, t0=1.0))


def rows(page: Page) -> Locator:
    return page.get_by_role("list", name="Queue").get_by_role("listitem")


def next_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Next", exact=True)


async def test_a_line_on_standby_is_shown_as_such_and_next_begins_it_by_keyboard(
    page: Page, gateway: FakeGateway
) -> None:
    await expect(next_button(page)).to_be_hidden()
    stands_by(gateway, "s1", "s2")
    stands_by(gateway, "q1", standby=False)
    await expect(rows(page).locator(".place")).to_have_text(["next", "on standby", "on standby"])
    await expect(page.locator("#state-words")).to_have_text("On standby")
    assert await axe(page) == []
    reached = {one.name: one.is_visible for one in await tab_round(page)}
    assert reached.get("button#next Next"), reached
    await next_button(page).press("Enter")
    await expect(rows(page).locator(".place")).to_have_text(["next", "waits", "on standby"])
    await expect(next_button(page)).to_be_focused()
    await next_button(page).press("Space")
    await expect(rows(page).locator(".place")).to_have_text(["next", "waits", "waits"])
    assert [report.get("standby") for report in gateway.agents["demo"].reports.values()] == [None] * 3


async def test_next_keeps_the_place_of_the_keyboard_while_nothing_is_on_standby(
    page: Page, gateway: FakeGateway
) -> None:
    stands_by(gateway, "s1")
    await next_button(page).press("Enter")
    gateway.becomes("demo", "s1", "speaking")
    await expect(rows(page).locator(".place")).to_have_text(["speaking"])
    await expect(next_button(page)).to_be_focused()
    await expect(next_button(page)).to_have_attribute("aria-disabled", "true")
    assert await axe(page) == []
    calls = gateway.calls.count("next")
    await page.keyboard.press("Enter")
    stands_by(gateway, "s2")
    await expect(next_button(page)).to_have_attribute("aria-disabled", "false")
    assert gateway.calls.count("next") == calls
    await page.keyboard.press("Enter")
    await expect(rows(page).locator(".place")).to_have_text(["speaking", "next"])


async def test_a_go_ahead_that_the_server_refuses_is_told(page: Page, gateway: FakeGateway) -> None:
    from libacli.core.reasons import refusal

    stands_by(gateway, "s1")
    gateway.failures["next"] = refusal("old_agent", "the agent is too old: it has no liba.next")
    await next_button(page).click()
    await expect(page.locator("#refused")).to_contain_text("The agent is too old")


async def test_who_may_not_control_sees_what_is_on_standby_and_has_no_button_for_it(
    browser: Browser, gateway: FakeGateway, agent: FakeAgent
) -> None:
    async with AsyncExitStack() as stack:
        page = await opened(stack, browser, gateway, can_control=False)
        stands_by(gateway, "s1")
        await expect(rows(page).locator(".place")).to_have_text(["on standby"])
        await expect(next_button(page)).to_be_hidden()
        assert not [name for name in await controls(page) if "Next" in name]


@pytest.mark.parametrize("forced_colors", ["none", "active"])
async def test_a_button_that_is_pressed_looks_so_in_the_colours_that_a_user_forces(
    page: Page, forced_colors: Literal["none", "active"]
) -> None:
    await page.emulate_media(forced_colors=forced_colors)
    pressed = page.get_by_role("button", name="Captions", exact=True)
    await expect(pressed).to_have_attribute("aria-pressed", "true")
    shades = [
        await one.evaluate("one => getComputedStyle(one).backgroundColor")
        for one in (pressed, page.locator("body"))
    ]
    assert shades[0] != shades[1]
