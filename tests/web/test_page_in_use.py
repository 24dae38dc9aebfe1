"""The page while lines are spoken and networks fail, in a browser; with a room: tests/live/test_page.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Browser, Page, Route, expect

from libacli.config import Settings
from libacli.core.room_update import Caption
from tests.web.fake_gateway import FakeGateway
from tests.web.serving import serving

pytestmark = pytest.mark.live

LONG = "This is a somewhat longer line of text, which has several clauses, and needs more rows than fit. "
MORE = "And here is more of the same line, which begins to be heard only now, and it is to be seen, too."

ROWS = """() => {
  const box = document.getElementById("captions");
  const top = box.getBoundingClientRect().top + box.clientTop;
  return [...box.querySelectorAll("p > span")].flatMap((words) => {
    const range = document.createRange();
    return [...words.firstChild.data.matchAll(/\\S+/g)].map(({0: word, index}) => {
      range.setStart(words.firstChild, index);
      range.setEnd(words.firstChild, index + word.length);
      const rect = range.getBoundingClientRect();
      const seen = Math.min(rect.bottom - top, box.clientHeight) - Math.max(rect.top - top, 0);
      return [word, Math.max(0, seen) / rect.height];
    });
  });
}"""
"""Each word of the captions, and how much of its height can be seen."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=[(1280, 800), (360, 740), (320, 256), (900, 450)], ids=str)
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    size: tuple[int, int] = request.param
    return size


@pytest.fixture
async def empty_page(browser: Browser, gateway: FakeGateway) -> AsyncIterator[tuple[Page, str]]:
    """One that has not been loaded yet, and its address."""
    gateway.comes("demo")
    async with AsyncExitStack() as stack:
        port, _ = await stack.enter_async_context(serving(gateway, Settings()))
        context = await browser.new_context()
        stack.push_async_callback(context.close)
        await context.route("**/vendor/**", lambda route: route.abort())  # there is no LiveKit
        yield await context.new_page(), f"http://127.0.0.1:{port}/"


@pytest.fixture
async def page(empty_page: tuple[Page, str]) -> Page:
    page, address = empty_page
    await page.goto(f"{address}#room=demo")
    await is_ready(page)
    return page


async def is_ready(page: Page) -> None:
    await expect(page.locator("#state-words")).to_have_text("Ready", timeout=30_000)


async def seen(page: Page, gateway: FakeGateway, *captions: Caption) -> list[str]:
    """The words that can be seen once these were told: each of them is whole."""
    gateway.tell("demo", *captions)
    await expect(page.locator("#captions p").last).to_have_text(captions[-1].text.strip())
    words = await page.evaluate(ROWS)
    assert [word for word, share in words if 0.01 < share < 0.99] == []
    return [word for word, share in words if share]


async def test_captions_show_whole_rows_and_those_that_are_heard_now(
    page: Page, gateway: FakeGateway, size: tuple[int, int]
) -> None:
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    assert (await seen(page, gateway, Caption("u1", LONG)))[:3] == ["This", "is", "a"]
    grown = await seen(page, gateway, Caption("u1", LONG + MORE))
    assert "And" in grown[:10]
    again = await seen(page, gateway, Caption("u1", LONG + "And here"))  # it was stopped there
    assert again[-2:] == ["And", "here"]
    assert "One." in await seen(page, gateway, Caption("u2", "One."))
    assert "Two," in await seen(page, gateway, Caption("u3", "Two, and no more than that."))


async def test_captions_stay_where_somebody_reads_earlier_ones(page: Page, gateway: FakeGateway) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    for number in range(5):
        gateway.tell("demo", Caption(f"u{number}", LONG))
    await expect(page.locator("#captions p")).to_have_count(5)
    await page.locator("#captions").evaluate("(one) => { one.scrollTop = 0; }")
    await seen(page, gateway, Caption("u4", LONG + MORE))
    assert await page.locator("#captions").evaluate("(one) => one.scrollTop") == 0


async def test_that_the_server_cannot_be_reached_is_told_until_it_answers(page: Page) -> None:
    async def fail(route: Route) -> None:
        await route.abort("internetdisconnected")

    await page.route("**/api/**", fail)
    await page.locator("#text").fill("A line.")
    await page.get_by_role("button", name="Speak", exact=True).click()
    refused = page.locator("#refused")
    await expect(refused).to_contain_text("The server cannot be reached")
    await page.wait_for_timeout(3000)
    await expect(refused).to_contain_text("The server cannot be reached")
    await page.unroute("**/api/**")
    await expect(refused).to_have_text("", timeout=10_000)
    await expect(page.locator("#text")).to_have_value("A line.")
    await expect(page.locator("#text")).not_to_have_attribute("aria-invalid", "true")


async def test_what_the_server_has_refused_is_told_until_the_next_line(page: Page) -> None:
    await page.locator("#text").fill("x" * 5000)
    await page.get_by_role("button", name="Speak", exact=True).click()
    await expect(page.locator("#refused")).not_to_be_empty()
    told = await page.locator("#refused").text_content()
    await page.wait_for_timeout(3000)
    await expect(page.locator("#refused")).to_have_text(told or "")


@pytest.mark.parametrize("part", ["main", "board", "words"])
async def test_a_page_of_which_a_part_does_not_come_says_so_and_is_loaded_again(
    empty_page: tuple[Page, str], part: str
) -> None:
    page, address = empty_page
    await page.clock.install()
    await page.route(f"**/static/{part}.js", lambda route: route.abort(), times=1)
    await page.goto(f"{address}#room=demo")
    await expect(page.locator("#state-words")).to_contain_text("a part of this page did not come")
    await page.route(address, lambda route: route.abort(), times=1)  # nor does the page itself
    async with page.expect_event("requestfailed"):
        await page.clock.fast_forward(5_000)
    await expect(page.locator("#state-words")).to_contain_text("a part of this page did not come")
    await page.clock.fast_forward(5_000)
    await is_ready(page)


async def test_a_server_that_takes_the_question_and_never_answers_is_asked_again(
    empty_page: tuple[Page, str],
) -> None:
    page, address = empty_page
    asked, is_over = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await is_over.wait()
        await route.abort()

    await page.clock.install()
    await page.route("**/api/page", hold, times=1)
    await page.goto(f"{address}#room=demo")
    await asked.wait()
    await page.clock.fast_forward(15_000)
    await expect(page.locator("#state-words")).to_contain_text("Offline")
    await page.clock.fast_forward(2_000)
    await is_ready(page)
    is_over.set()
