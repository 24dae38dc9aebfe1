"""Participants that the server's calls reach."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from livekit import rtc

from libacli.edges.livekit.api import LiveKitApi
from libacli.errors import NoAgentError


async def until_called(there: rtc.Room, api: LiveKitApi, room: str, identity: str) -> None:
    """Waits until the server's calls reach who has just joined: on a busy machine that takes a moment."""

    async def here(_: rtc.RpcInvocationData) -> str:
        return "here"

    there.local_participant.register_rpc_method("here", here)
    async with asyncio.timeout(20):
        while True:
            with suppress(NoAgentError):
                await api.perform_rpc(room, identity, "here", "", timeout_s=3)
                return
            await asyncio.sleep(0.1)
