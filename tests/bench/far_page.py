"""A viewer at the page, in a browser on a far machine, which keeps all that the page plays and shows."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from libacli.child_environment import environment_of
from tests.bench.far_viewer import Kept, Received
from tests.browser import chromium
from tests.far import Far
from tests.live.cluster.nodes import ROOT
from tests.relay import Counts
from tests.seeing import MOUTH_COLUMNS, MOUTH_ROWS, MOUTH_SHADES

_RATE = 24_000
_PIECE_BYTES = 480
"""10 ms, as a viewer gets sound that is a program."""

_START_S, _JOIN_S = 60.0, 60.0
_ASKS = 5
_AROUND = 100
"""Blocks: a second."""

_VIDEO_RANGE = (16, 219 / 255)
"""Black, and a step of brightness, of a compressed picture in those of a screen (ITU-R BT.601)."""

_KEEP = """
// Runs before any script of the page. Keeps the sound that its elements play, behind the jitter buffer, and
// how far the mouth is open in each picture that it shows. Times are milliseconds of performance.now().
window.kept = {sound: [], mouth: []};
{
  const {rate, rows, columns, dark, bright} = HOW;
  const {set, get} = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
  const elements = new Set();
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", {
    get, set(stream) { elements.add(this); set.call(this, stream); },
  });
  const hear = () => {
    const context = new AudioContext({sampleRate: rate});
    const node = context.createScriptProcessor(256, 1, 1);
    const sources = new Map();
    node.onaudioprocess = (event) => {
      const values = event.inputBuffer.getChannelData(0);
      const pcm = Int16Array.from(values, (value) => Math.max(-1, Math.min(1, value)) * 32767);
      const bytes = btoa(String.fromCharCode(...new Uint8Array(pcm.buffer)));
      kept.sound.push([performance.now(), 1000 * event.playbackTime, bytes]);
    };
    node.connect(context.destination);
    setInterval(() => {
      const isHeard = (one) => one.srcObject && !one.paused && !one.muted && one.volume > 0;
      const playing = [...elements].filter(isHeard);
      const tracks = new Set(playing.flatMap((one) => one.srcObject.getAudioTracks()));
      for (const track of tracks) {
        if (sources.has(track)) continue;
        const source = context.createMediaStreamSource(new MediaStream([track]));
        source.connect(node);
        sources.set(track, source);
      }
      for (const [track, source] of sources) {
        if (!tracks.has(track)) { source.disconnect(); sources.delete(track); }
      }
    }, 20);
  };
  const see = () => {
    const video = document.getElementById("stage-video");
    const canvas = new OffscreenCanvas(1, 1);
    const drawing = canvas.getContext("2d", {willReadFrequently: true});
    const look = (now, {expectedDisplayTime, width, height}) => {
      const [top, bottom] = rows.map((part) => Math.trunc(part * height));
      const [left, right] = columns.map((part) => Math.trunc(part * width));
      [canvas.width, canvas.height] = [right - left, bottom - top];
      drawing.drawImage(video, left, top, right - left, bottom - top, 0, 0, right - left, bottom - top);
      const {data} = drawing.getImageData(0, 0, right - left, bottom - top);
      let inside = 0;
      for (let at = 0; at < data.length; at += 4) {
        const light = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
        if (light < dark || light > bright) inside += 1;
      }
      kept.mouth.push([expectedDisplayTime, (4 * inside) / data.length]);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  };
  addEventListener("DOMContentLoaded", () => { hear(); see(); });
}
"""


def _keep() -> str:
    black, step = _VIDEO_RANGE
    dark, bright = ((shade - black) / step for shade in MOUTH_SHADES)
    how = {"rate": _RATE, "rows": MOUTH_ROWS, "columns": MOUTH_COLUMNS, "dark": dark, "bright": bright}
    return _KEEP.replace("HOW", json.dumps(how))


class PageViewer:
    """Somebody at the page of a `liba serve` of their own, both on the far machine."""

    def __init__(self, far: Far, page: Page) -> None:
        self._far, self._page = far, page

    async def joined(self) -> None:
        """Waits until the page shows pictures; of the stock session's agent it knows nothing."""
        await self._page.wait_for_function("kept.mouth.length > 0", timeout=1000 * _JOIN_S)

    async def end(self) -> tuple[Kept, Counts]:
        """What the page played and showed, and what the network did on the way to it."""
        later_s = await self._clock()
        kept = await self._page.evaluate("kept")
        downlink = (await asyncio.to_thread(self._far.end))["downlink"]
        mouth = [(at / 1000 + later_s, opened) for at, opened in kept["mouth"]]
        return Kept(list(_pieces(kept["sound"], later_s)), mouth, Received()), downlink

    async def _clock(self) -> float:
        """What CLOCK_MONOTONIC has more than the page's clock, by the quickest of some answers."""
        found: list[tuple[float, float]] = []
        for _ in range(_ASKS):
            before = time.monotonic()
            told = float(await self._page.evaluate("performance.now()"))
            after = time.monotonic()
            found.append((after - before, (before + after) / 2 - told / 1000))
        return min(found)[1]


def _pieces(sound: Sequence[tuple[float, float, str]], later_s: float) -> Iterator[tuple[float, bytes]]:
    """Of 10 ms, with the times at which their last sample was played.

    A block is handed over when its last sample was, or later where the page is busy: the one that was handed
    over the soonest tells of those around it, whose times of playing are exact, but of another clock.
    """
    behind = [at - playback for at, playback, _ in sound]
    pending = bytearray()
    for index, (_, playback, encoded) in enumerate(sound):
        soonest = min(behind[max(0, index - _AROUND) : index + _AROUND])
        pending += base64.b64decode(encoded)
        end_s = (playback + soonest) / 1000 + later_s - len(pending) / (2 * _RATE)
        while len(pending) >= _PIECE_BYTES:
            end_s += _PIECE_BYTES / (2 * _RATE)
            yield end_s, bytes(pending[:_PIECE_BYTES])
            del pending[:_PIECE_BYTES]


@asynccontextmanager
async def page_viewer(
    far: Far, folder: Path, environment: Mapping[str, str], room: str, agent_name: str
) -> AsyncIterator[PageViewer]:
    """A browser at the page; `environment` has what `liba serve` needs to reach the server."""
    env = environment_of("python") | {"PYTHONPATH": str(ROOT)} | dict(environment)
    env |= {"LIBA_SAY_ROOM": room, "LIBA_AGENT_NAME": agent_name}
    command = [sys.executable, "-m", "libacli", "serve", "--port", "0", "--json"]
    with (
        (folder / "serve.log").open("wb") as log,
        far.machine.start(command, log, env=env, cwd=folder) as process,
    ):
        told: dict[str, Any] | None = None
        deadline = time.monotonic() + _START_S
        while not (told := _announced(log_text := (folder / "serve.log").read_text())):
            assert process.poll() is None and time.monotonic() < deadline, log_text
            await asyncio.sleep(0.05)
        inside = ("ip", "netns", "exec", far.machine.name)
        async with chromium(inside=inside) as browser:
            page = await browser.new_page(viewport={"width": 640, "height": 640}, bypass_csp=True)
            await page.add_init_script(_keep())
            await page.goto(told["page"])
            yield PageViewer(far, page)


def _announced(log: str) -> dict[str, Any] | None:
    found = re.search(r"^\{.*\}$", log, re.MULTILINE)
    return json.loads(found[0]) if found else None
