"""What a text is said with comes to the avatar's face, through agent and server, and goes with the text."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from libacli.core.emotion import Emotion
from libacli.local.avatar import attend
from libacli.local.avatar_presence import Invitation
from libacli.local.avatar_service import AvatarService, serving
from tests.live.avatar_peers import LampFace
from tests.live.conftest import Listen, Shell, wait_for_line

pytestmark = pytest.mark.live

KEY = SecretStr("key-of-the-test")


class NotingFace(LampFace):
    """Remembers what it was asked to show, and when it spoke."""

    def __init__(self) -> None:
        self.shown: list[Emotion] = []

    def express(self, emotion: Emotion) -> LampFace:
        self.shown.append(emotion)
        return self


async def test_each_text_has_its_emotion_and_the_face_is_neutral_afterwards(
    shell: Shell, room: str, listen: Listen, tmp_path: Path
) -> None:
    face = NotingFace()

    async def join(invitation: Invitation) -> str:
        return await attend(invitation, face)

    async with serving(AvatarService(KEY, join)) as service:
        own = {
            "LIBA_AGENT_NAME": room,
            "TAVUS_API_KEY": KEY.get_secret_value(),
            "TAVUS_BASE_URL": service.base_url,
            "TAVUS_FACE_ID": "face",
        }
        log, here = tmp_path / "worker.log", Shell(shell.folder, shell.environment | own)
        with here.running("agent", "run", "--room", room, log=log) as process:
            await asyncio.to_thread(wait_for_line, log, "worker is ready", process)
            async with listen() as listener:
                async with asyncio.timeout(30):
                    await listener.subscribed.wait()
                await asyncio.to_thread(wait_for_line, log, "the avatar is in the room", process)
                for emotion in ("surprise", "anger", None):
                    options = ("--emotion", emotion) if emotion else ()
                    command = ("say", "One two.", "--room", room, "--wait", "done", "--json", *options)
                    ended = await asyncio.to_thread(here.run, *command)
                    report = json.loads(ended.stdout)
                    assert (report["route"], report.get("emotion")) == ("tavus", emotion), ended.stderr
                await asyncio.sleep(0.5)
    assert face.shown == ["surprise", "neutral", "anger", "neutral"]
