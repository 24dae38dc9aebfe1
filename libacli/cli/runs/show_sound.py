"""The sounds of a show: read before it begins, and sent when their cue comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from libacli.cli.runs.say_audio import prepared
from libacli.core.cue import Cue
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.core.queue_requests import NextAnswer
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.sounds.sound_file import PreparedSound

_CAPTION_FILES = (".vtt", ".srt")


@dataclass(frozen=True)
class ShowSounds:
    """Finds the sounds of a show's cues, in the `folder` of its file."""

    folder: Path
    max_s: float

    def of(self, cue: Cue) -> PreparedSound:
        """That of a cue with `audio`, with its captions. Raises what `prepared` raises. Blocks."""
        folder = self.folder.absolute()  # a file that is called - is no standard input
        is_file = cue.captions.lower().endswith(_CAPTION_FILES)
        return prepared(
            folder / cue.audio,
            text=None if is_file or not cue.captions else cue.captions,
            captions=folder / cue.captions if is_file else None,
            max_s=self.max_s,
            tell=lambda what: None,
        )


class SoundingAgent:
    """The agent of a room, who is handed sounds over as such. Implements `Agent`."""

    def __init__(self, client: AgentClient, sounds: ShowSounds, cues: Iterable[Cue]) -> None:
        self._client = client
        self._sounds = sounds
        self._cues = {cue.sound.sha256: cue for cue in cues if cue.sound}

    async def say(self, request: SayRequest) -> Delivery:
        """Reads its file once more: no more than one sound at a time is in memory. See AgentClient."""
        if not request.sound:
            return await self._client.say(request)
        sound = await asyncio.to_thread(self._sounds.of, self._cues[request.sound.sha256])
        members = request.encode()
        del members["sound"]
        return await self._client.say_sound(sound, **members)

    async def wait(
        self,
        said: Delivery,
        level: str,
        *,
        timeout_s: float,
        grows_to_s: float = 0.0,
        on_paused: Callable[[], None] | None = None,
    ) -> Delivery:
        return await self._client.wait(
            said, level, timeout_s=timeout_s, grows_to_s=grows_to_s, on_paused=on_paused
        )

    async def next(self, utterance_id: str = "") -> NextAnswer:
        return await self._client.next(utterance_id)

    async def stop(self, utterance_id: str = "") -> list[str]:
        return await self._client.stop(utterance_id)
