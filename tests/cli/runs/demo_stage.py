"""What a demo's lines are spoken by, heard by and shown on, for tests that own the time."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from libacli.cli.runs.demo_lines import DemoLines
from libacli.cli.screens.demo_lines import DemoScreen
from libacli.cli.screens.demo_result import DemoResult
from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.edges.viewer.listener import AudioCapture
from libacli.edges.viewer.seat import Captured
from libacli.edges.viewer.video_watcher import VideoCapture
from libacli.errors import InterruptedSpeechError, LibaError, RefusedError

LINE_S = 2.0
_FRAME = struct.pack("<480h", *[9000] * 480)


class Speaking:
    """An agent that takes `LINE_S` seconds for each line, one after the other, and may be stopped."""

    def __init__(self) -> None:
        self.said: list[SayRequest] = []
        self.refusals: dict[str, LibaError] = {}
        """What becomes of a text, instead of being taken."""

        self.failures: dict[str, LibaError] = {}
        """... after it was taken."""

        self.is_mute = False
        self.is_old = False
        """Its LiveKit server cannot ask it anything."""

        self.capture = AudioCapture()
        self._texts: dict[str, str] = {}
        self._begins_at: dict[str, float] = {}
        self._stopped: set[str] = set()
        self._stir = asyncio.Event()

    async def say(self, request: SayRequest) -> Delivery:
        if error := self.refusals.get(request.text):
            raise error
        position = sum(at > _now() for at in self._begins_at.values())
        free_at = max(
            [_now(), *(at + LINE_S for id, at in self._begins_at.items() if id not in self._stopped)]
        )
        self._begins_at[request.id] = free_at
        self._texts[request.id] = request.text
        self.said.append(request)
        if self.is_old:
            return Delivery(request.id, "sent")
        return Delivery.accepted(Acknowledgement(request.id, position))

    async def wait(self, said: Delivery, level: str, *, timeout_s: float) -> Delivery:
        if said.level == "sent":
            return said
        at = self._begins_at[said.id] + (LINE_S if level == "done" else 0.1)
        while _now() < at and said.id not in self._stopped:
            self._stir.clear()
            try:
                async with asyncio.timeout_at(at):
                    await self._stir.wait()
            except TimeoutError:
                break
        if error := self.failures.get(self._texts[said.id]):
            raise error
        if said.id in self._stopped:
            raise InterruptedSpeechError(f"{said.id} was interrupted: stopped", state="interrupted")
        if not self.is_mute:
            for _ in range(25):
                self.capture.add(_FRAME, _now())
        report = {"id": said.id, "state": level, "route": "tavus", "t3_source": "reported", "d01": 60.0}
        return Delivery(said.id, level, said.acknowledgement, report)

    async def stop(self) -> list[str]:
        stopped = [
            id for id, at in self._begins_at.items() if at + LINE_S > _now() and id not in self._stopped
        ]
        self._stopped.update(stopped)
        self._stir.set()
        return stopped

    def start_capture(self) -> Captured:
        self.capture = AudioCapture()
        return Captured(self.capture, VideoCapture())


class Shown(DemoScreen):
    """A screen that remembers what it was told, and when."""

    def __init__(self) -> None:
        super().__init__(as_json=False)
        self.told: list[tuple[str, str]] = []
        self.times: list[float] = []
        self.reasons: list[str] = []

    def _tell(self, word: str, name: str) -> None:
        self.told.append((word, name))
        self.times.append(_now())

    def begins(self, name: str) -> None:
        self._tell("speaking", name)

    def heard(self, name: str, result: DemoResult) -> None:
        self._tell("heard", name)

    def _ended(self, word: str, name: str, why: str) -> None:
        self._tell(word, name)
        self.reasons.append(why)


@dataclass
class Stage:
    agent: Speaking
    shown: Shown
    lines: DemoLines
    recorded: list[Path] = field(default_factory=list)


def stage() -> Stage:
    """Lines with a fake agent; what is recorded is only noted down."""
    agent, shown = Speaking(), Shown()
    recorded: list[Path] = []

    @asynccontextmanager
    async def recording(path: Path | None) -> AsyncIterator[Callable[[AudioCapture], None]]:
        yield lambda sound: recorded.append(path) if path else None

    lines = DemoLines(
        agent, agent.start_capture, recording, shown, avatar_name="fake", max_text_chars=4000, hint="its log"
    )
    return Stage(agent, shown, lines, recorded)


def refused(reason: str = "spend_cap") -> LibaError:
    return RefusedError(reason, "the agent refused: enough")


def _now() -> float:
    return asyncio.get_running_loop().time()
