"""Runs `liba demo`: has the agent speak in a room of this machine, and shows that it was heard and seen."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from libacli.cli.log import logging_to_file
from libacli.cli.output import output
from libacli.cli.runs.demo_lines import NETWORK_TAIL_S, DemoLine, DemoLines
from libacli.cli.runs.demo_recording import check_recording, recorded
from libacli.cli.runs.interruptible import run_interruptible
from libacli.cli.runs.keep_running import keep_running, watch_server
from libacli.cli.runs.local_stack import LocalStack, until_agent
from libacli.cli.runs.page_link import forget_links
from libacli.cli.screens.demo_lines import DemoScreen
from libacli.config import LiveKitCredentials, Settings
from libacli.core.messages import read_say
from libacli.edges.livekit.agent_client import open_client
from libacli.edges.livekit.background import in_background
from libacli.edges.viewer.seat import Seat, seated

GREETING = "Hello! This is liba, speaking in a real room, on your own machine."

_SUBSCRIBE_TIMEOUT_S = 10.0
"""For sound and picture to arrive; the avatar may take longer, which is no reason not to speak."""

_RECORDING = Path("liba-demo.wav")


@dataclass
class DemoRun:
    """One run of `liba demo`."""

    settings: Settings
    room: str
    text: str
    """Empty: what comes on standard input where that is no terminal, and a greeting where nothing does."""

    once: bool
    """Ends when the text was spoken, as it does where there is no terminal."""

    record: Path | None
    """Gets the first utterance: WAV, or with `.mp4` picture and sound."""

    open_page: bool
    config_file: Path | None
    as_json: bool = False

    def __post_init__(self) -> None:
        self._stack = LocalStack(self.settings, room=self.room, config_file=self.config_file)
        self._screen = DemoScreen(as_json=self.as_json)

    def run(self) -> None:
        """Speaks the text, and then each line typed.

        Raises NoAgentError, TimedOutError, RefusedError; LibaError when it was not heard; KeyboardInterrupt
        where it was ended before.
        """
        read_say({"text": self._text}, max_text_chars=self.settings.say_max_text_chars)
        is_typed = not self.once and sys.stdin.isatty() and sys.stdout.isatty()
        check_recording(self.record or (None if is_typed else _RECORDING))
        with logging_to_file(self.settings, "demo"):
            if is_typed:
                run_interruptible(self._stay())
            else:
                run_interruptible(self._speak(takes_input=not self.text and not self.once))

    @property
    def _text(self) -> str:
        return self.text or GREETING

    async def _stay(self) -> None:
        """Speaks what is typed, until that ends."""
        from libacli.cli.runs.demo_session import COMMANDS, DemoSession
        from libacli.cli.screens.demo_prompt import DemoPrompt

        async with self._lines() as (lines, credentials), AsyncExitStack() as stack:
            page = await asyncio.to_thread(stack.enter_context, self._stack.page(credentials))
            output.status(f"page     {page.shown()}")
            output.status(f"type a line to have it spoken; {' '.join(COMMANDS)}")
            if self.open_page:
                await asyncio.to_thread(page.open, otherwise="open the page yourself")
            stack.callback(forget_links)
            session = DemoSession(lines, page)
            prompt = DemoPrompt(lambda: _doing(lines))
            lines.say(self._text, record=self.record)
            with prompt.above():
                async with in_background(lines.run()):
                    await session.run(prompt)

    async def _speak(self, *, takes_input: bool) -> None:
        """Speaks the text, or what comes on standard input. Raises LibaError when it was not heard."""
        async with self._lines() as (lines, _):
            if takes_input and await self._speak_input(lines):
                return
            line = DemoLine(lines.request(self._text), record=self.record or _RECORDING)
            self._screen.heard("", await lines.speak(line))

    async def _speak_input(self, lines: DemoLines) -> bool:
        """Whether there was something on standard input. Raises LibaError when some of it was not heard."""
        from libacli.cli.runs.standard_input import sentences  # what finds them takes a while to load

        async with in_background(lines.run()):
            async for sentence in sentences(self.settings.say_max_text_chars, "auto", tell=output.status):
                lines.say(sentence, record=None if lines.said else self.record)
            await lines.finished()
        if lines.failure:
            raise lines.failure
        return lines.said > 0

    @asynccontextmanager
    async def _lines(self) -> AsyncIterator[tuple[DemoLines, LiveKitCredentials]]:
        """All that is needed to speak, hear and see, started; it ends with the context."""
        async with AsyncExitStack() as stack:
            credentials = await asyncio.to_thread(stack.enter_context, self._stack.server())
            await asyncio.to_thread(stack.enter_context, self._stack.avatar())
            client = await stack.enter_async_context(
                open_client(credentials, room=self.room, agent_name=self.settings.agent_name)
            )
            worker = stack.enter_context(self._stack.worker(credentials))
            seat = await stack.enter_async_context(
                seated(
                    credentials,
                    room=self.room,
                    identity=f"liba-listener-{uuid.uuid4().hex[:6]}",
                    agent_name=self.settings.agent_name,
                )
            )
            await until_agent(client, worker)
            await self._wait_for_media(seat)
            await stack.enter_async_context(
                in_background(
                    watch_server(self._stack.local_server),
                    keep_running(
                        "agent",
                        partial(self._stack.worker, credentials),
                        worker,
                        again="started again; it comes into the room",
                        before=partial(self._stack.put_dead_agents_out, credentials),
                    ),
                )
            )
            yield (
                DemoLines(
                    client,
                    seat.capture,
                    partial(recorded, seat, tail_s=NETWORK_TAIL_S),
                    self._screen,
                    max_text_chars=self.settings.say_max_text_chars,
                    avatar_name=self._stack.avatar_name,
                    hint=f"see the worker's log: {worker.log_path}",
                ),
                credentials,
            )

    async def _wait_for_media(self, seat: Seat) -> None:
        try:
            async with asyncio.timeout(_SUBSCRIBE_TIMEOUT_S):
                await seat.listener.subscribed.wait()
                await seat.video.seen.wait()
        except TimeoutError:
            output.status("avatar   not in the room yet; the agent speaks without it until it is")
        output.status(f"agent    in room {self.room!r}, and a participant of our own that listens")


def _doing(lines: DemoLines) -> str:
    if not lines.unfinished:
        return "ready"
    return "speaking" if lines.unfinished == 1 else f"speaking, {lines.unfinished - 1} more to come"
