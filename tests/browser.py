"""A real browser for tests: the machine's Chromium or like, an ear for what a page plays, and axe-core."""

from __future__ import annotations

import asyncio
import functools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import playwright
from platformdirs import user_cache_path
from playwright.async_api import Browser, Page, async_playwright

from libacli.private_files import locked, private_folder
from libacli.web.npm import AXE, fetch, find_npm
from tests.programs import program

SPEECH_FLOOR = 0.01
"""Root mean square of samples between -1 and 1 (-40 dBFS): speech is above, an open line far below."""

_POLL_S = 0.05

EAR = """
// Runs before any script of the page. Hears all that the page plays, wherever the element is: every 10 ms the
// loudness of the last 21 ms of the live tracks of elements that play, unmuted.
window.ear = {samples: [], elements: new Set(), clicks: [], captures: 0};
{
  const {set, get} = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", {
    get, set(stream) { ear.elements.add(this); set.call(this, stream); },
  });
  for (const name of ["getUserMedia", "getDisplayMedia"]) {
    const devices = navigator.mediaDevices;
    if (!devices) continue;  // not a secure context
    const original = devices[name].bind(devices);
    devices[name] = (...given) => { ear.captures += 1; return original(...given); };
  }
  const {play} = HTMLMediaElement.prototype;
  HTMLMediaElement.prototype.play = function () {
    const started = play.call(this);
    started.catch((error) => console.debug(`ear: ${error.name}`));
    return started;
  };
  addEventListener("click", (event) => ear.clicks.push(event.timeStamp), {capture: true});
  ear.playing = () => [...ear.elements].filter(
    (element) => element.srcObject?.getAudioTracks().length && !element.paused && !element.muted
      && element.volume > 0);
  ear.listen = () => {
    if (ear.context) return;
    ear.context = new AudioContext();
    const analyser = new AnalyserNode(ear.context, {fftSize: 1024});
    const values = new Float32Array(analyser.fftSize);
    const sources = new Map();
    setInterval(() => {
      const tracks = new Set(ear.playing().flatMap((element) => element.srcObject.getAudioTracks()));
      for (const track of tracks) {
        if (sources.has(track)) continue;
        const source = ear.context.createMediaStreamSource(new MediaStream([track]));
        source.connect(analyser);
        sources.set(track, source);
      }
      for (const [track, source] of sources) {
        if (!tracks.has(track)) { source.disconnect(); sources.delete(track); }
      }
      analyser.getFloatTimeDomainData(values);
      const sum = values.reduce((total, value) => total + value * value, 0);
      ear.samples.push([performance.now(), Math.sqrt(sum / values.length)]);
    }, 10);
  };
}
"""


NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "microsoft-edge-stable", "msedge"),
    *(
        f"/Applications/{name}.app/Contents/MacOS/{name}"
        for name in ("Chromium", "Google Chrome", "Microsoft Edge")
    ),
)
"""What a browser of Chromium's kind is called, or where it is."""

_INSTALL_TIMEOUT_S = 120.0


def browser_program(playwrights_own: Path) -> str:
    """A browser that is there, Playwright's own, or what the system's packages bring; else the test fails."""
    with locked(private_folder(user_cache_path("liba")) / "browser.lock", timeout_s=2 * _INSTALL_TIMEOUT_S):
        if found := next(filter(None, map(shutil.which, NAMES)), None):
            return found
        if not playwrights_own.exists():
            _install_playwrights_own()
        return str(playwrights_own) if playwrights_own.exists() else program("chromium", *NAMES)


@functools.cache
def _give_playwright_a_node() -> None:
    """Its own one needs a library, libatomic, that a bare system has not."""
    own = Path(playwright.__file__).parent / "driver" / "node"
    if subprocess.run([own, "--version"], capture_output=True).returncode:
        os.environ["PLAYWRIGHT_NODEJS_PATH"] = shutil.which("node", path=find_npm().environment["PATH"]) or ""


def _install_playwrights_own() -> None:
    """What it says is no matter: there is a browser then, or there is not."""
    tasks = ["install"]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        tasks.append("install-deps")
    for task in tasks:
        command = [sys.executable, "-m", "playwright", task, "chromium"]
        with suppress(subprocess.TimeoutExpired):
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_INSTALL_TIMEOUT_S
            )
            if ended.returncode == 0:
                continue
        return


@contextmanager
def _started_by(inside: Sequence[str], found: str) -> Iterator[str]:
    """A program that is `found`, started by that command: Playwright puts its own arguments first."""
    if not inside:
        yield found
        return
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "chromium"
        script.write_text(f'#!/bin/sh\nexec {shlex.join([*inside, found])} "$@"\n')
        script.chmod(0o700)
        yield str(script)


@asynccontextmanager
async def chromium(
    *arguments: str, sound_needs_a_gesture: bool = False, inside: Sequence[str] = ()
) -> AsyncIterator[Browser]:
    """Chromium without a window. A machine that gets none fails the test: it is not passed over.

    `inside` is a command that starts it, such as `ip netns exec NAME`.

    With `sound_needs_a_gesture`, mind that all that Playwright evaluates in a page, a locator too, counts as
    a gesture: wait for `sound_refused` first.
    """
    policy = "document-user-activation-required" if sound_needs_a_gesture else "no-user-gesture-required"
    flags = ["--no-sandbox", f"--autoplay-policy={policy}", *arguments]
    await asyncio.to_thread(_give_playwright_a_node)
    async with async_playwright() as driver:
        found = await asyncio.to_thread(browser_program, Path(driver.chromium.executable_path))
        with _started_by(inside, found) as command:
            browser = await driver.chromium.launch(executable_path=command, args=flags)
            try:
                yield browser
            finally:
                await browser.close()


@asynccontextmanager
async def sound_refused(page: Page, *, timeout_s: float = 60.0) -> AsyncIterator[None]:
    """Until the browser has refused, in what is done inside, to play something without a gesture."""
    told = "ear: NotAllowedError"
    async with page.expect_console_message(lambda one: one.text == told, timeout=timeout_s * 1000):
        yield


class Ear:
    """What a page plays, measured in the page: times are milliseconds of its `performance.now()`.

    That is after decoding and the jitter buffer, and before the sound card, which adds its own delay.
    """

    def __init__(self, page: Page) -> None:
        self._page = page

    @classmethod
    async def of(cls, page: Page) -> Ear:
        """An ear that listens from now on. `page` must have been opened with EAR as an init script."""
        await page.evaluate("ear.listen()")
        return cls(page)

    async def now(self) -> float:
        return float(await self._page.evaluate("performance.now()"))

    async def last_click(self) -> float:
        return float(await self._page.evaluate("ear.clicks.at(-1)"))

    async def samples(self, since: float = 0.0) -> list[tuple[float, float]]:
        """Moment and loudness (0 to 1), every 10 ms or so."""
        taken = await self._page.evaluate("since => ear.samples.filter(([at]) => at > since)", since)
        return [(at, loudness) for at, loudness in taken]

    async def loud(self, since: float = 0.0) -> list[float]:
        """The moments when speech sounded."""
        return [at for at, loudness in await self.samples(since) if loudness > SPEECH_FLOOR]

    async def stall(self, since: float, until: float) -> float:
        """For how long, at most, the page did not get to listen in that time: milliseconds."""
        moments = [since, *(at for at, _ in await self.samples(since) if at < until), until]
        return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)

    async def hear(self, since: float | None = None, *, timeout_s: float = 60.0) -> float:
        """Waits for sound after `since`, else from now on; when it began."""
        since = await self.now() if since is None else since
        async with asyncio.timeout(timeout_s):
            while True:
                if heard := await self.loud(since):
                    return heard[0]
                await asyncio.sleep(_POLL_S)

    async def silence(self, for_s: float, *, timeout_s: float = 60.0) -> None:
        """Waits until nothing has sounded for so long."""
        since = await self.now()
        async with asyncio.timeout(timeout_s):
            while True:
                now = await self.now()
                if now - max([since, *await self.loud(since)]) > for_s * 1000:
                    return
                await asyncio.sleep(_POLL_S)


@dataclass(frozen=True)
class Focused:
    """A control that Tab has reached."""

    name: str
    """Its tag, its id and its words: `button#speak Speak`."""

    is_visible: bool
    """Whether one sees that the focus is there: an outline or a shadow that it has not without the focus."""


_CONTROLS = """
() => {
  window.nameOf = (element) => `${element.localName}#${element.id} `
    + (element.getAttribute("aria-label") || element.labels?.[0]?.textContent || element.textContent).trim();
  return [...document.querySelectorAll("a[href], button, input, select, summary, textarea, [tabindex='0']")]
    .filter((element) => !element.disabled && element.checkVisibility({visibilityProperty: true})
      && !element.closest("[inert]"))
    .map(nameOf);
}
"""

_FOCUSED = """
() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const look = () => {
    const {outlineStyle, outlineWidth, outlineColor, boxShadow} = getComputedStyle(element);
    return outlineStyle === "none" || outlineWidth === "0px" ? boxShadow
      : [outlineStyle, outlineWidth, outlineColor, boxShadow].join();
  };
  const seen = look();
  element.blur();
  const unseen = look();
  element.focus({focusVisible: true, preventScroll: true});
  return {name: nameOf(element), is_visible: seen !== unseen};
}
"""


_TO_THE_TOP = """
() => {
  const top = Object.assign(document.createElement("button"), {textContent: "top"});
  document.body.prepend(top);
  top.focus();
  top.remove();
}
"""


async def controls(page: Page) -> list[str]:
    """All that a keyboard must reach, named as `Focused.name`."""
    return [str(name) for name in await page.evaluate(_CONTROLS)]


async def tab_round(page: Page, *, most: int = 60) -> list[Focused]:
    """What Tab reaches from the top of the page on, in order, once around."""
    await controls(page)
    await page.evaluate(_TO_THE_TOP)
    reached: list[Focused] = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        found = await page.evaluate(_FOCUSED)
        if not found or (reached and found["name"] == reached[0].name):
            break
        reached.append(Focused(**found))
    return reached


@functools.cache
def _axe_script() -> str:
    folder = user_cache_path("liba") / "npm" / f"{AXE.package}-{AXE.version}"
    fetch(*AXE, folder)
    return (folder / "axe.min.js").read_text(encoding="utf-8")


async def axe(page: Page) -> list[str]:
    """What axe-core finds that shuts people out: rule, what it wants, and the elements that break it.

    Needs npm, once. Raises InstallError.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(await asyncio.to_thread(_axe_script))
    found: list[dict[str, Any]] = await page.evaluate("axe.run().then(({violations}) => violations)")
    return [
        f"{one['id']}: {one['help']}: {'; '.join(str(node['target']) for node in one['nodes'])}"
        for one in found
    ]
