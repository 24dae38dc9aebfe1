"""What the first minutes have to offer: the voice, which needs no server, while that is being built."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from libacli.child_environment import environment_of, on_path
from libacli.config import Settings
from libacli.edges.viewer.media_file import WavFile
from libacli.edges.voices.choose import make_one_voice, provider_words
from libacli.errors import LibaError
from libacli.local.server_sources import Progress
from libacli.private_files import private_folder
from libacli.speech.ports import Style

logger = logging.getLogger("liba.demo")

WORDS = "Hello! This is the voice that you will hear. The server that carries it is being built, once."
_BUILDING = "Building "
"""How the step begins that takes minutes."""

_PLAYERS = (["pw-play"], ["paplay"], ["aplay", "-q"], ["afplay"])
_LONGEST_S = 30.0


@dataclass
class VoiceMeanwhile:
    """Shows an installation in `progress`; as soon as it takes long, the embedded voice says `WORDS`.

    They are written to `file`, and played where a player is installed. Where another voice than the embedded
    one speaks nothing is said: that would cost something, or be another voice than the one to come.
    """

    progress: Progress
    settings: Settings
    file: Path
    speaking: threading.Thread | None = field(default=None, init=False)

    def step(self, message: str) -> None:
        self.progress.step(message)
        if message.startswith(_BUILDING) and not self.speaking and self._is_embedded:
            self.speaking = threading.Thread(target=self._speak, name="voice-meanwhile", daemon=True)
            self.speaking.start()

    def fraction(self, done: int, total: int | None, *, unit: str = "bytes") -> None:
        self.progress.fraction(done, total, unit=unit)

    @property
    def _is_embedded(self) -> bool:
        return provider_words(self.settings)[0] == "embedded"

    def _speak(self) -> None:
        try:
            self._write(asyncio.run(_said(self.settings)))
            self.progress.step(f"voice    heard meanwhile: {self.file}")
            self._play()
        except (LibaError, OSError, subprocess.SubprocessError) as error:
            logger.debug("the voice is not heard meanwhile: %s", error)  # what it fills in for goes on

    def _write(self, pcm: bytes) -> None:
        private_folder(self.file.parent)
        file = WavFile(self.file)
        file.sound(pcm)
        file.close()

    def _play(self) -> None:
        for name, *options in _PLAYERS:
            if player := on_path(name):
                command = [player, *options, str(self.file)]
                subprocess.run(
                    command,
                    env=environment_of("program"),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=_LONGEST_S,
                    check=False,
                )
                return


async def _said(settings: Settings) -> bytes:
    voice, pcm = make_one_voice(settings, "embedded"), bytearray()
    try:
        async with aclosing(voice.synthesize(WORDS, Style())) as pieces:
            async for piece in pieces:
                pcm += piece
    finally:
        await voice.aclose()
    return bytes(pcm)
