"""A model speaks in a real room, over HTTP and on standard input and output; a program follows it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx2
import pytest
from mcp import Client as Model
from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from libacli import Client
from libacli.config import LiveKitCredentials
from libacli.core.event import Event
from tests.live.conftest import Listen, Shell
from tests.live.heard import quiet
from tests.live.test_serve import serving

pytestmark = pytest.mark.live

LINE = "A model asks, and the room hears it."
LONG = "This line goes on for quite some time, so that there is something to stop. " * 4


async def test_a_model_is_heard_stops_and_is_told_what_is_wrong_and_a_program_follows(
    shell: Shell, worker: Path, room: str, listen: Listen, credentials: LiveKitCredentials, tmp_path: Path
) -> None:
    started = StdioServerParameters(
        command=sys.executable,
        args=["-m", "libacli", "mcp", "--room", room],
        env=shell.environment,
        cwd=shell.folder,
    )
    secret = credentials.api_secret.get_secret_value()
    followed: list[Event] = []

    async def follow(liba: Client) -> None:
        async for event in liba.events():
            followed.append(event)
            if event.report.state == "interrupted":
                return

    with (tmp_path / "stderr").open("w") as errors, serving(shell, tmp_path, LIBA_SERVE_MCP="true") as served:
        async with (
            listen() as listener,
            Client(url=credentials.url, api_key=credentials.api_key, api_secret=secret, room=room) as liba,
            Model(stdio_client(started, errlog=errors)) as on_stdio,
            httpx2.AsyncClient(trust_env=False, timeout=60) as web,
            Model(streamable_http_client(f"{served.url}/mcp", http_client=web)) as over_http,
            asyncio.timeout(120),
            asyncio.TaskGroup() as tasks,
        ):
            await liba.reach()
            following = tasks.create_task(follow(liba))
            await listener.subscribed.wait()
            take = listener.start_capture()
            said = await on_stdio.call_tool("say", {"text": LINE, "wait": "done"})
            assert said.structured_content["state"] == "done", said
            await quiet(listener)
            assert take.speech_s > 0.5 * said.structured_content["speech_s"]

            long = await over_http.call_tool("say", {"text": LONG, "room": room, "wait": "audible"})
            assert long.structured_content["state"] == "audible", long
            queue = await on_stdio.call_tool("queue", {})
            assert queue.structured_content["speaking"]["id"] == long.structured_content["id"]
            stopped = await over_http.call_tool("stop", {"room": room})
            assert stopped.structured_content["stopped"] == [long.structured_content["id"]]
            await following  # it falls silent within some ms
            status = await on_stdio.call_tool("status", {"id": long.structured_content["id"]})
            assert status.structured_content["state"] == "interrupted"

            mistake = await over_http.call_tool("say", {"text": "...", "room": room})
            assert mistake.is_error
    ended = {event.report.id: event.report.state for event in followed}
    assert list(ended.values()) == ["done", "interrupted"]
