"""Runs `liba demo`: has the agent speak in a room of this machine, and shows that it was heard and seen."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from libacli.cli.output import output
from libacli.cli.runs.child_process import Child
from libacli.cli.runs.demo_recording import check_recording, recorded
from libacli.cli.runs.demo_services import DemoServices
from libacli.cli.runs.page_link import forget_links
from libacli.cli.screens.demo_result import DemoResult, show
from libacli.config import LiveKitCredentials, Settings
from libacli.core.event import Report
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest, read_say
from libacli.core.pace import longest_speech_s
from libacli.edges.livekit.agent_client import AgentClient, open_client
from libacli.edges.livekit.agent_locator import pauses
from libacli.edges.viewer.seat import Seat, seated
from libacli.errors import LibaError, NoAgentError, RefusedError, TimedOutError

_WORKER_TIMEOUT_S = 40.0
"""To start and to come into the room: many times what it takes on a machine that is not busy."""

_SUBSCRIBE_TIMEOUT_S = 10.0
"""For sound and picture to arrive; the avatar may take longer, which is no reason not to speak."""

_SPEAKING_MARGIN_S = 30.0
"""What an utterance may take besides being spoken: the voice, the avatar, those that wait before it."""

_NETWORK_TAIL_S = 0.3
"""How long the last sound may be on its way after the agent played it."""

_LEAST_SPEECH_S = 0.2
"""Any word is longer; what is shorter is noise."""

_RECORDING = Path("liba-demo.wav")


@dataclass(frozen=True)
class _Speaking:
    """Where we sit, and the way to speak to the agent there."""

    seat: Seat
    client: AgentClient
    worker_log: Path


@dataclass
class DemoRun:
    """One run of `liba demo`."""

    settings: Settings
    room: str
    text: str
    once: bool
    """Ends when the text was spoken, as it does where there is no terminal."""

    record: Path | None
    """Gets the first utterance: WAV, or with `.mp4` picture and sound."""

    open_page: bool
    config_file: Path | None
    as_json: bool = False
    _has_spoken: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._services = DemoServices(self.settings, room=self.room, config_file=self.config_file)

    def run(self) -> None:
        """Speaks the text, and then each line typed.

        Raises NoAgentError, TimedOutError, RefusedError; LibaError when it was not heard.
        """
        asyncio.run(self._run(stays=not self.once and sys.stdin.isatty() and sys.stdout.isatty()))

    async def _run(self, *, stays: bool) -> None:
        request = self._request(self.text)
        path = self.record or (None if stays else _RECORDING)
        check_recording(path)
        async with AsyncExitStack() as stack:
            credentials = await asyncio.to_thread(stack.enter_context, self._services.server())
            await asyncio.to_thread(stack.enter_context, self._services.avatar())
            speaking = await stack.enter_async_context(self._seated_with_agent(credentials))
            if stays:
                page = await asyncio.to_thread(stack.enter_context, self._services.page(credentials))
                output.status(f"page     {page.shown()}")
                output.status("type a line to have it spoken; Ctrl-C ends everything")
                if self.open_page:
                    await asyncio.to_thread(page.open, otherwise="open the page yourself")
                    stack.callback(forget_links)
            async with recorded(speaking.seat, path, tail_s=_NETWORK_TAIL_S):
                await self._say(speaking, request)
            if stays:
                await self._say_what_is_typed(speaking)

    async def _say_what_is_typed(self, speaking: _Speaking) -> None:
        async for line in _typed_lines():
            try:
                await self._say(speaking, self._request(line))
            except RefusedError as error:
                output.error(error)

    @asynccontextmanager
    async def _seated_with_agent(self, credentials: LiveKitCredentials) -> AsyncIterator[_Speaking]:
        """The worker, started, and our own participant, in the room; ready to speak, hear and see."""
        identity = f"liba-listener-{uuid.uuid4().hex[:6]}"
        agent_name = self.settings.agent_name
        async with open_client(credentials, room=self.room, agent_name=agent_name) as client:
            with self._services.worker(credentials) as worker:
                async with seated(
                    credentials, room=self.room, identity=identity, agent_name=self.settings.agent_name
                ) as seat:
                    await _wait_for_agent(client, worker)
                    await self._wait_for_media(seat)
                    yield _Speaking(seat, client, worker.log_path)

    async def _wait_for_media(self, seat: Seat) -> None:
        try:
            async with asyncio.timeout(_SUBSCRIBE_TIMEOUT_S):
                await seat.listener.subscribed.wait()
                await seat.video.seen.wait()
        except TimeoutError:
            output.status("avatar   not in the room yet; the agent speaks without it until it is")
        output.status(f"agent    in room {self.room!r}, and a participant of our own that listens")

    async def _say(self, speaking: _Speaking, request: SayRequest) -> None:
        """Speaks one text and shows what came of it. Raises LibaError when nobody heard it."""
        loop = asyncio.get_running_loop()
        listener = speaking.seat.listener
        sound, picture = listener.start_capture(), speaking.seat.video.start_capture()
        sent_at = loop.time()
        bound_s = _SPEAKING_MARGIN_S + longest_speech_s(request.text)
        hint = f"see the worker's log: {speaking.worker_log}"
        try:
            async with asyncio.timeout(bound_s):
                said = await speaking.client.say(request)
                report = Report.read(await listener.wait_for(said.id, *FINAL_STATES))
        except TimeoutError as error:
            raise TimedOutError(f"it was not spoken within {bound_s:g} s", hint=hint) from error
        await asyncio.sleep(_NETWORK_TAIL_S)
        if report.state != "done":
            reason = report.reason or "no reason given"
            raise LibaError(f"the agent says: {report.state}, {reason}", hint=hint)
        if sound.first_audible_at is None or sound.speech_s < _LEAST_SPEECH_S:
            raise LibaError("the agent spoke but our listener heard nothing", hint=hint)
        first_sound_ms = (sound.first_audible_at - sent_at) * 1000
        result = DemoResult(report, sound, picture, first_sound_ms, self._services.avatar_name)
        if self.as_json:
            output.ndjson(result.encode())
        else:
            show(result, with_header=not self._has_spoken)
        self._has_spoken = True

    def _request(self, text: str) -> SayRequest:
        members = {"text": text, "id": uuid.uuid4().hex[:12]}
        return read_say(members, max_text_chars=self.settings.say_max_text_chars)


async def _wait_for_agent(client: AgentClient, worker: Child) -> None:
    output.status("agent    starting...")
    deadline = time.monotonic() + _WORKER_TIMEOUT_S
    pause = pauses()
    while not await client.find():
        if worker.process.poll() is not None:
            raise worker.ended()
        if time.monotonic() > deadline:
            raise NoAgentError(
                f"the worker did not come into the room within {_WORKER_TIMEOUT_S:g} s",
                hint=f"its log: {worker.log_path}",
            )
        await asyncio.sleep(next(pause))


async def _typed_lines() -> AsyncIterator[str]:
    """Lines of the terminal, until its end."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin.fileno(), lambda: lines.put_nowait(sys.stdin.readline()))
    try:
        while line := await lines.get():
            if line.strip():
                yield line
    finally:
        loop.remove_reader(sys.stdin.fileno())
