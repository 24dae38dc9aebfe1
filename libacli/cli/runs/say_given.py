"""What `liba say` is given to have heard: a text, a file's, that of standard input, or a sound."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from libacli.errors import UsageError

if TYPE_CHECKING:
    from libacli.cli.runs.say import SayRun
    from libacli.core.markdown import MarkdownChoice

_STANDARD_INPUT = "-"


@dataclass(frozen=True)
class SayGiven:
    """One of them, as the command line has it. Loads nothing, so that what is wrong is told at once."""

    text: str | None
    file: Path | None
    audio: Path | None
    shown: str | None
    """What is shown while `audio` is heard, as is what is in the file `captions`."""

    captions: Path | None
    encoding: str | None = None
    """That of standard input, or of `file`, by any of its names; UTF-8, or a guess, unless it is given."""

    @property
    def is_stream(self) -> bool:
        """Whether texts come one after the other, from standard input."""
        return self.text == _STANDARD_INPUT

    @property
    def usual_markdown(self) -> MarkdownChoice:
        """Whether it is Markdown, unless somebody says so: models write it, people seldom."""
        return "auto" if self.is_stream else "off"

    def check(self, **of_voices: object) -> None:
        """Raises UsageError unless it is one thing, and for options `of_voices` that do not go with it."""
        if self.audio:
            self._check_audio({"file": self.file, **of_voices, "encoding": self.encoding})
        elif self.shown is not None or self.captions:
            raise UsageError("--text and --captions are for --audio", hint='liba say "Hello."')
        elif (self.text is None) == (self.file is None):
            raise UsageError("give a text, or --file, or - for standard input", hint='liba say "Hello."')
        elif self.encoding is not None:
            self._check_encoding(self.encoding)

    def _check_audio(self, of_voices: Mapping[str, object]) -> None:
        if self.text is not None:
            raise UsageError("--audio has it heard as it is", hint="--text shows a text while it is heard")
        if given := [f"--{name}" for name, value in of_voices.items() if value is not None]:
            raise UsageError(
                f"{given[0]} does not go with --audio: no voice is asked", hint=f"leave {given[0]} out"
            )

    def _check_encoding(self, name: str) -> None:
        if not (self.is_stream or self.file):
            raise UsageError("--encoding is for standard input and --file", hint="leave it out")
        if not _python_name(name):
            raise UsageError(
                f"there is no encoding {name!r}",
                hint="koi8-r, cp1251, iso8859-2, shift_jis, gb18030, euc-kr...",
            )

    def hand_to(self, run: SayRun) -> None:
        """Reads it, and has `run` say it. Raises UsageError for a file that cannot be read."""
        if self.audio:
            from libacli.cli.runs.say_audio import prepared

            most_s = run.settings.say_max_sound
            sound = prepared(self.audio, text=self.shown, captions=self.captions, max_s=most_s)
            asyncio.run(run.sound(sound))
        elif self.is_stream:
            asyncio.run(run.stream(_python_name(self.encoding)))
        else:
            asyncio.run(run.once(self._read()))

    def _read(self) -> str:
        from libacli.cli.runs.text_file import text_of

        if not self.file:
            return self.text or ""
        return text_of(
            self.file,
            _python_name(self.encoding) or "utf-8",
            other_encoding="say which encoding it is in: --encoding NAME",
        )


def _python_name(encoding: str | None) -> str:
    """Empty: none is given, or there is none of that name."""
    if encoding is None:
        return ""
    from libacli.core.encoding_guess import python_name

    return python_name(encoding)
