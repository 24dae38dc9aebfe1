"""That what judges the page can tell good from bad."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from tests.browser import EAR, Ear, axe, chromium, controls, sound_refused, tab_round

pytestmark = pytest.mark.live

PLAY = """
(muted) => {
  const context = new AudioContext();
  const tone = new OscillatorNode(context);
  const out = new MediaStreamAudioDestinationNode(context);
  tone.connect(out);
  const element = Object.assign(new Audio(), {srcObject: out.stream, muted});
  window.tone = tone;
  tone.start();
  return element.play();
}
"""

STREAM = "new AudioContext().createMediaStreamDestination().stream"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page()
    await page.add_init_script(EAR)
    await page.goto("about:blank")
    yield page
    await page.close()


async def test_the_ear_hears_when_a_tone_begins_and_ends(page: Page) -> None:
    ear = await Ear.of(page)
    await ear.silence(0.2)
    assert not await ear.loud()
    began_at = await ear.now()
    await page.evaluate(PLAY, False)
    assert 0 <= await ear.hear() - began_at < 500
    ended_at = await page.evaluate("() => { tone.stop(); return performance.now(); }")
    await ear.silence(0.2)
    assert (await ear.loud())[-1] - ended_at < 150


async def test_the_ear_does_not_hear_what_is_muted(page: Page) -> None:
    ear = await Ear.of(page)
    await page.evaluate(PLAY, True)
    with pytest.raises(TimeoutError):
        await ear.hear(timeout_s=0.5)


async def test_sound_that_needs_a_gesture_is_blocked_without_one() -> None:
    async with chromium(sound_needs_a_gesture=True) as strict:
        page = await strict.new_page()
        await page.add_init_script(EAR)
        async with sound_refused(page):
            await page.goto(
                f"data:text/html,<script>a = new Audio; a.srcObject = {STREAM}; a.play()</script>"
            )


async def test_a_tab_round_tells_what_it_reached_and_whether_one_sees_it(page: Page) -> None:
    await page.set_content(
        "<style>#blind:focus { outline: none }</style>"
        "<button id=seen>One</button><button id=blind>Two</button><button tabindex=-1>Three</button>"
    )
    assert await controls(page) == ["button#seen One", "button#blind Two", "button# Three"]
    await page.focus("#blind")
    assert [(one.name, one.is_visible) for one in await tab_round(page)] == [
        ("button#seen One", True),
        ("button#blind Two", False),
    ]


async def test_axe_names_what_is_wrong_with_a_page_and_where(page: Page) -> None:
    await page.set_content(
        "<html lang=en><title>A page</title><main><h1>Words</h1><img src='' id=bare></main>"
    )
    (found,) = await axe(page)
    assert found.startswith("image-alt: ")
    assert "#bare" in found


async def test_axe_finds_nothing_where_nothing_is_wrong(page: Page) -> None:
    await page.set_content("<html lang=en><title>A page</title><main><h1>Words</h1></main>")
    assert await axe(page) == []
