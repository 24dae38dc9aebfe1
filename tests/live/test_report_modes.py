"""However an avatar tells of the end of a line, each line is heard whole, once, in its turn.

Lines are tones, so that a listener knows which one it hears. The last mode is the avatar that vendors embed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libacli.config import LiveKitCredentials
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.speech.fakes import ScriptedVoice, tone
from tests.faulty_avatar import REPORTS
from tests.live.conftest import Listen
from tests.live.heard import assert_heard_once, quiet, tones_in
from tests.live.test_avatar import on_air

pytestmark = pytest.mark.live

TONES = range(400, 2400, 250)
"""One for each line, in hertz. `tests/edges/sinks/test_avatar_faults.py` has a hundred for each mode."""

LINE_MS = 1000
LINE_S = LINE_MS / 1000 * 0.8
"""Seconds in which a line sounds: a tone pauses for 40 of every 200 ms."""

EDGE_S = 0.3


@pytest.mark.parametrize("mode", REPORTS)
async def test_each_line_is_heard_whole_and_once_and_one_conversation_does(
    credentials: LiveKitCredentials, room: str, listen: Listen, tmp_path: Path, mode: str
) -> None:
    voice = ScriptedVoice()
    for hertz in TONES:
        voice.play(0.05, tone(LINE_MS, hertz))
    async with on_air(credentials, room, listen, tmp_path, REPORTS[mode], voice=voice) as on:
        await on.avatar()
        take = on.listener.start_capture()
        for hertz in TONES:
            await on.client.say(SayRequest("A line.", id=f"{hertz}"))
        routes: dict[int, str] = {}
        async with asyncio.timeout(240):
            while len(routes) < len(TONES):
                event = await on.listener.events.get()
                if event["state"] in FINAL_STATES:
                    routes[int(event["id"])] = event["route"]
        await quiet(on.listener)
        heard = tones_in(take.pcm, TONES)
    assert routes == dict.fromkeys(TONES, "tavus")
    assert list(heard) == list(TONES)
    for seconds in heard.values():
        assert_heard_once(seconds, LINE_S, edge_s=EDGE_S)
    assert on.tavus.creates == 1
