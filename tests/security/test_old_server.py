"""A watcher listens to what is sent to the agent where a server cannot ask it: texts, be captions off."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from livekit import rtc

from libacli.config import LiveKitCredentials
from libacli.core.protocol import SAY_TOPIC
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import join_token

pytestmark = pytest.mark.live


async def test_a_packet_for_one_participant_reaches_nobody_else(
    credentials: LiveKitCredentials, room: str
) -> None:
    heard: dict[str, list[bytes]] = {"speaker": [], "watcher": []}
    async with AsyncExitStack() as stack, LiveKitApi(credentials) as api:
        for name, packets in heard.items():
            token = join_token(credentials, room=room, identity=name)
            here = await stack.enter_async_context(joined(rtc.Room(), credentials.ws_url, token))

            def on_data(packet: rtc.DataPacket, packets: list[bytes] = packets) -> None:
                packets.append(packet.data)

            here.on("data_received", on_data)
        async with asyncio.timeout(20):
            while not heard["speaker"]:  # one that has just joined may miss a packet
                await api.send_data(room, SAY_TOPIC, b"A secret line.", to="speaker")
                await asyncio.sleep(0.5)
        await asyncio.sleep(1)
    assert set(heard["speaker"]) == {b"A secret line."}
    assert heard["watcher"] == []
