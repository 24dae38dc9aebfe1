"""The floor through an avatar: a participant that sends its avatar a ready tone at once when asked.

`python -m tests.bench.avatar_floor MILLISECONDS ROOM…`: MILLISECONDS of tone. LiveKit and the avatar service
are those of the environment. No agent can be heard sooner through that service.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.config_sources import load
from tests.bench.floor_agent import requests_to
from tests.bench.voice_process import steady_tone
from tests.live.avatar_peers import TavusClient, agent_in


async def speak_when_asked(
    credentials: LiveKitCredentials, tavus: TavusClient, room: str, sound: bytes
) -> None:
    """Joins the room, sends for an avatar, and has it play `sound` for each request, until cancelled."""
    async with agent_in(credentials, room) as agent:
        asked = requests_to(agent.room)
        await tavus.create(room)
        await agent.avatar_ready()
        while True:
            await asked.get()
            await agent.send(sound)


async def _main(milliseconds: str, *rooms: str) -> None:
    settings = load().settings
    credentials, sound = settings.livekit(), steady_tone(float(milliseconds))
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        key = settings.tavus_api_key or SecretStr("")
        tavus = TavusClient(session, settings.tavus_base_url, key, credentials)
        for room in rooms:
            tasks.create_task(speak_when_asked(credentials, tavus, room, sound))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
