"""py-nanotts in a process of its own: what breaks or hangs there takes nobody with it."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

from libacli.child_environment import environment_of
from libacli.edges.voices import pico_child
from libacli.errors import ConfigError, VoiceRefusedError

_PYTHON = (sys.executable, "-I")
_END_TIMEOUT_S = 1.0


class PicoProcess:
    """Started with the first text, and anew after one that it did not survive."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._has_spoken = False

    async def say(self, text: str, voice: str, speed: float | None) -> bytes:
        """PCM (16 kHz mono s16le) of `text`; `voice` as in "de-DE". Given up early, the process is ended.

        Raises VoiceRefusedError when it cannot say that text, ConfigError when it cannot be started.
        """
        asked = json.dumps({"text": text, "voice": voice, "speed": speed}).encode() + b"\n"
        async with self._turn:
            self._process = self._process or await self._start()
            try:
                pcm = await self._exchange(self._process, asked)
            except BaseException:
                await self._kill()
                raise
            self._has_spoken = True
            return pcm

    async def aclose(self) -> None:
        """Ends the process. Safe to call twice."""
        async with self._turn:
            await self._kill()

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *_PYTHON,
            str(Path(pico_child.__file__)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=environment_of("program"),
            start_new_session=True,  # neither Ctrl-C nor a closed terminal is for it
        )

    async def _exchange(self, process: Process, asked: bytes) -> bytes:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(asked)
            await process.stdin.drain()
            answer = json.loads(await process.stdout.readline())
            if "bytes" in answer:
                return await process.stdout.readexactly(answer["bytes"])
        except (ValueError, EOFError, ConnectionError) as error:
            if not self._has_spoken and await process.wait() == 1:
                raise ConfigError(
                    "the embedded voices cannot be loaded", hint="pip install 'libacli[local]'"
                ) from error
            raise VoiceRefusedError("the embedded voice cannot say it: its engine gave up") from error
        raise VoiceRefusedError(f"the embedded voice cannot say it ({answer.get('error')})")

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if not process:
            return
        assert process.stdin
        process.stdin.close()
        with suppress(ProcessLookupError):
            process.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_TIMEOUT_S):
                await process.communicate()
