"""Visitors of the page: `liba serve` as a process, and browsers that open what it serves."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser import EAR
from tests.live.conftest import Shell, wait_for_line

ROOM = "page"
AGENT = "page-agent"
JOIN_S = 60.0
DESKTOP = {"width": 1280, "height": 900}
T = TypeVar("T")

DETAILS = """
if (location.protocol.startsWith("http") && !localStorage.getItem("liba.viewing")) {
  localStorage.setItem("liba.viewing", JSON.stringify({hasDetails: true}));
}
"""
"""Queue, latency and connection, which are folded away at first."""


@dataclass(frozen=True)
class Served:
    """A running `liba serve`."""

    url: str
    page: str
    """What it prints as the page's address."""


@contextmanager
def serving(shell: Shell, folder: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    log = folder / "serve.log"
    variables = {"LIBA_SAY_ROOM": ROOM, "LIBA_AGENT_NAME": AGENT} | environment
    with shell.running("serve", "--json", *arguments, log=log, **variables) as process:
        wait_for_line(log, '"page"', process)
        line = next(line for line in log.read_text().splitlines() if line.startswith("{"))
        told = json.loads(line)
        yield Served(told["url"], told["page"])


@asynccontextmanager
async def beside(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enters and leaves in a thread: what the test's own loop carries meanwhile goes on."""
    entered = await asyncio.to_thread(context.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


class Visit:
    """Somebody at the page, and what their browser asked for and complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.urls: list[str] = []
        self.sockets: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.urls.append(request.url))
        page.on("websocket", lambda opened: self.sockets.append(opened.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)

    @property
    def text_box(self) -> Locator:
        return self.page.get_by_role("textbox", name="What to say")

    @property
    def captions(self) -> Locator:
        return self.page.get_by_role("log", name="Captions")

    @property
    def latency(self) -> Locator:
        return self.page.get_by_role("figure", name="Latency")

    @property
    def rows(self) -> Locator:
        """One for each utterance, the heads left out; they may be folded away."""
        return self.latency.locator("tbody tr")

    @property
    def status(self) -> Locator:
        return self.page.get_by_role("status", name="Status")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def state(self, *wanted: str, timeout_s: float = JOIN_S) -> None:
        """Waits until the page says that it is in one of these states."""
        one_of = re.compile("^(" + "|".join(wanted) + ")$")
        await expect(self.page.locator("html")).to_have_attribute(
            "data-state", one_of, timeout=timeout_s * 1000
        )

    async def frames(self) -> int:
        """Pictures that the video has shown so far."""
        shown = "document.getElementById('stage-video').getVideoPlaybackQuality().totalVideoFrames"
        return int(await self.page.evaluate(shown))

    async def sees(self, count: int = 10, *, timeout_s: float = JOIN_S) -> None:
        """Waits until so many more pictures have been shown."""
        goal = await self.frames() + count
        async with asyncio.timeout(timeout_s):
            while True:
                if await self.frames() >= goal:
                    return
                await asyncio.sleep(0.1)

    async def says(self, text: str) -> None:
        await self.text_box.fill(text)
        await self.button("Speak").click()


@asynccontextmanager
async def fresh_context(
    browser: Browser, *, has_details: bool = True, **options: Any
) -> AsyncIterator[BrowserContext]:
    """A browser of its own: nothing is known of earlier visits, but whether details were unfolded."""
    context = await browser.new_context(**({"viewport": DESKTOP} | options))
    context.set_default_timeout(JOIN_S * 1000)
    await context.add_init_script(EAR)
    if has_details:
        await context.add_init_script(DETAILS)
    try:
        yield context
    finally:
        await context.close()
