"""What is typed at a demo: lines to be spoken, and commands."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from libacli.cli.output import output
from libacli.cli.runs.demo_lines import DemoLines
from libacli.cli.runs.demo_recording import check_recording
from libacli.cli.runs.page_link import PageLink
from libacli.core.messages import read_say
from libacli.errors import LibaError, UsageError

COMMANDS: Mapping[str, str] = {
    "/stop": "stop what is spoken and clear what waits",
    "/voice": "NAME: the voice of the next lines; without a name, as it is set",
    "/speed": "NUMBER: their pace, 1 is normal; without a number, as it is set",
    "/open": "open the page in a browser",
    "/record": "FILE: record the next line, .wav or .mp4",
    "/help": "this list",
    "/quit": "end the demo, as Ctrl-D does",
}
"""What can be typed besides lines, and what it does. `//` says a line that begins with a slash."""


class Prompt(Protocol):
    """Where it is typed; see DemoPrompt."""

    def texts(self) -> AsyncIterator[list[str]]: ...


class _Quit(Exception):
    """The demo is to end."""


@dataclass
class DemoSession:
    """Takes what is typed until it is to end."""

    lines: DemoLines
    page: PageLink
    _style: dict[str, Any] = field(default_factory=dict, init=False)
    """Members of the next say requests."""

    _record: Path | None = field(default=None, init=False)

    async def run(self, prompt: Prompt) -> None:
        """Until `/quit`, Ctrl-D or, when nothing is spoken, Ctrl-C, which raises KeyboardInterrupt."""
        async for texts in prompt.texts():
            try:
                await self._take(texts)
            except LibaError as error:
                output.error(error)
            except _Quit:
                return

    async def _take(self, texts: Sequence[str]) -> None:
        if not texts:
            await self._interrupt()
        elif len(texts) == 1 and texts[0].startswith("/") and not texts[0].startswith("//"):
            word, _, rest = texts[0].partition(" ")
            await self._command(word, rest.strip())
        else:
            plain = [text.removeprefix("/") if text.startswith("//") else text for text in texts]
            self.lines.say(*plain, style=self._style, record=self._record)
            self._record = None

    async def _interrupt(self) -> None:
        """The first Ctrl-C is for what is spoken; the next one ends the demo."""
        if not self.lines.unfinished:
            raise KeyboardInterrupt
        await self._stop("")

    async def _command(self, word: str, rest: str) -> None:
        commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "/stop": self._stop,
            "/voice": self._voice,
            "/speed": self._speed,
            "/open": self._open,
            "/record": self._record_next,
            "/help": self._help,
            "/quit": self._quit,
        }
        if word not in commands:
            near = difflib.get_close_matches(word, commands, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"there is no command {word}", hint=f"{meant}/help lists them; // says a line with a slash"
            )
        await commands[word](rest)

    async def _stop(self, _: str) -> None:
        dropped, stopped = await self.lines.stop()
        if not dropped and not stopped:
            output.status("nothing is spoken")

    async def _voice(self, name: str) -> None:
        self._set("voice", name or None, "the voice")

    async def _speed(self, number: str) -> None:
        try:
            self._set("speed", float(number) if number else None, "the pace")
        except ValueError as error:
            raise UsageError(f"/speed takes a number, not {number!r}", hint="/speed 1.2") from error

    def _set(self, member: str, value: Any, what: str) -> None:
        if value is None:
            self._style.pop(member, None)
            output.status(f"{what} is as it was set")
        else:
            read_say({"text": "a", member: value}, max_text_chars=1)  # refuses what is out of range
            self._style[member] = value
            output.status(f"{what} of the next lines is {value}")

    async def _open(self, _: str) -> None:
        await asyncio.to_thread(self.page.open, otherwise=f"open {self.page.shown()} yourself")

    async def _record_next(self, name: str) -> None:
        if not name:
            raise UsageError("/record wants a file", hint="/record line.wav, or line.mp4 with the picture")
        self._record = _recording_at(name)
        output.status(f"the next line goes to {self._record}")

    async def _help(self, _: str) -> None:
        for word, meaning in COMMANDS.items():
            output.status(f"{word:8} {meaning}")
        output.status("Ctrl-C   stops what is spoken; when nothing is, it ends the demo")

    async def _quit(self, _: str) -> None:
        raise _Quit


def _recording_at(name: str) -> Path:
    path = Path(name).expanduser()
    check_recording(path)
    return path
