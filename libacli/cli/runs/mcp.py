"""Runs `liba mcp`: the tools for models, on standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from mcp.server.stdio import stdio_server

from libacli.cli.log import configure_log
from libacli.cli.output import output
from libacli.cli.runs.standard_input import standard_input
from libacli.client import Client
from libacli.config import Settings
from libacli.core.agent_status import AgentStatus
from libacli.core.delivery import Delivery
from libacli.edges.livekit.tokens import check_name
from libacli.errors import NoAgentError
from libacli.masking import secrets_of
from libacli.mcp.arguments import SayArguments
from libacli.mcp.server import make_server


@dataclass(frozen=True)
class McpRun:
    """One run of `liba mcp`."""

    settings: Settings

    def run(self) -> None:
        """Serves until its input ends. Raises ConfigError, UsageError."""
        check_name("room", self.settings.say_room)
        self.settings.livekit()
        configure_log(self.settings)
        if sys.stdin.isatty():
            output.status(
                "a client of the Model Context Protocol starts this: liba mcp --help; Ctrl-C ends it"
            )
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with Client(settings=self.settings) as client:
            speech = OwnersSpeech(client)
            server = make_server(lambda context: speech, secrets=secrets_of(self.settings, os.environ))
            # Its own reader of standard input cannot be left while nothing comes: Ctrl-C would end nothing.
            lines = cast("Any", _lines())
            async with stdio_server(stdin=lines) as (incoming, outgoing):
                await server.run(incoming, outgoing, server.create_initialization_options())


async def _lines() -> AsyncIterator[str]:
    """Those of standard input."""
    rest = b""
    while data := await standard_input():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield _answerable(line)
    if rest:
        yield _answerable(rest)


def _answerable(line: bytes) -> str:
    """As it is, but for bytes and halves of characters (`\\ud800`) that are no text.

    The SDK answers nothing to these, and who asks would wait for ever.
    """
    text = line.decode(errors="replace")
    if "\\ud" not in text.lower():
        return text
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True)
class OwnersSpeech:
    """Who has the API secret may do all. See `libacli.mcp.port.Speech`."""

    client: Client

    def room(self, wanted: str | None) -> str:
        return self.client.settings.say_room if wanted is None else wanted

    async def say(self, room: str, asked: SayArguments) -> Delivery:
        members = asked.model_dump(exclude={"room", "wait", "timeout_s"}, exclude_defaults=True)
        return await self.client.say(**members, room=room, markdown="auto")

    async def wait(
        self, room: str, said: Delivery, level: str, *, timeout_s: float, grows_to_s: float
    ) -> Delivery:
        wanted = cast("Any", level)
        return await self.client.wait(said, wanted, room=room, timeout_s=timeout_s, grows_to_s=grows_to_s)

    async def report(self, room: str, utterance_id: str) -> Mapping[str, Any] | None:
        known = await self.client.status(utterance_id, room=room)
        return known.encode() if known else None

    async def stop(self, room: str, utterance_id: str) -> list[str]:
        return await self.client.stop(utterance_id, room=room)

    async def queue(self, room: str) -> AgentStatus | None:
        try:
            return await self.client.queue(room=room)
        except NoAgentError:
            return None

    def voices(self) -> tuple[str, ...]:
        return self.client.voices()
