"""One cue of a show: a line, a pause, or a sound that is given; read from members, all problems at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from libacli.core.given_sound import GivenSound
from libacli.core.messages import read_say
from libacli.core.protocol import MAX_NAME_BYTES, MAX_NAME_CHARS
from libacli.errors import RefusedError

STYLES = ("voice", "speed", "emotion", "instructions", "room")
"""What a show may set for all of its cues."""

KEYS = ("text", "audio", "pause", "label", *STYLES, "step", "captions")

LONGEST_PAUSE_S = 86_400.0

_DURATION = re.compile(
    r"(?:(\d{1,6})\s*h)?\s*(?:(\d{1,6})\s*m(?:in)?)?\s*(?:(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})\s*s)?", re.ASCII
)
_MILLISECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*ms", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a show, at a line of its file."""

    line: int
    """From 1; 0: it is not known where."""

    message: str
    is_of_text: bool = False
    """The file is as it should be, and a text in it cannot be said."""


@dataclass(frozen=True)
class Cue:
    """What happens next in a show: one of `text`, `audio` and `pause_s` is there."""

    line: int = 0
    """Where it begins in its file, from 1; 0: not known."""

    text: str = ""
    audio: str = ""
    """Path of a file with its sound, as the show has it."""

    captions: str = ""
    """What is shown with `audio`: words, or the path of a file .vtt or .srt."""

    sound: GivenSound | None = None
    """What is in the file `audio`; None: nobody has looked yet."""

    pause_s: float = 0.0
    """Silence, from the end of what is before it."""

    label: str = ""
    """Where a show can go on from."""

    labels_above: tuple[str, ...] = ()
    """Of headings above that one, with nothing between: a show can go on from them, too."""

    voice: str | None = None
    speed: float | None = None
    instructions: str | None = None
    emotion: str | None = None
    room: str | None = None
    step: bool = False
    """It waits for the go-ahead."""

    @property
    def members(self) -> dict[str, Any]:
        """What a say request of it holds besides text and id."""
        if self.sound:  # no voice is asked
            return {"sound": self.sound.encode(), **({"emotion": self.emotion} if self.emotion else {})}
        given = {name: getattr(self, name) for name in ("voice", "speed", "instructions", "emotion")}
        return {name: value for name, value in given.items() if value is not None}


@dataclass
class CueReader:
    """Reads cues, and notes each problem: of all of a show's cues, so that it is told of all at once."""

    max_text_chars: int
    problems: list[Problem]

    def read(self, members: Mapping[str, Any], line: int, at: Mapping[str, int]) -> Cue | None:
        """The cue in `members`, which begins at `line` and has its keys `at` these; else None."""
        before = len(self.problems)
        for name in members.keys() - set(KEYS):
            self.note(at.get(name, line), f"unknown key {_shown(name)}{nearest(name, KEYS)}")
        values = {
            name: self._value(name, members[name], at.get(name, line)) for name in KEYS if name in members
        }
        self._check_kind(values, members, line)
        if len(self.problems) > before:
            return None
        return Cue(line, **{"pause_s" if name == "pause" else name: value for name, value in values.items()})

    def style(self, name: str, value: object, line: int) -> Any:
        """One of `STYLES`, for all that follows; None: it has a problem."""
        return self._value(name, value, line)

    def note(self, line: int, message: str, *, is_of_text: bool = False) -> None:
        self.problems.append(Problem(line, message, is_of_text))

    def _value(self, name: str, value: object, line: int) -> Any:
        try:
            return _READERS[name](name, value, self.max_text_chars)
        except RefusedError as error:
            is_of_text = name == "text" and error.reason != "malformed"
            self.note(line, str(error), is_of_text=is_of_text)
        return None

    def _check_kind(self, values: dict[str, Any], members: Mapping[str, Any], line: int) -> None:
        kinds = [name for name in ("audio", "text", "pause") if name in members]
        if "audio" in kinds and "text" in kinds:  # its words, to be shown
            if "captions" in members:
                self.note(line, "a cue with audio has captions or text, not both")
            values["captions"] = values.pop("text")
            kinds.remove("text")
        if not kinds:
            self.note(line, "a cue needs text, audio or pause")
        elif len(kinds) > 1:
            self.note(line, f"a cue has one of text, audio and pause, not {' and '.join(kinds)}")
        elif "captions" in members and kinds != ["audio"]:
            self.note(line, "captions belong to audio: a text is its own")
        if kinds == ["pause"] and members.get("step"):
            self.note(line, "a pause does not wait for the go-ahead: set step on the cue after it")


def read_pause(value: object) -> float:
    """Seconds: a number of them, or words such as `2s`, `500ms`, `1m30s`. Raises RefusedError."""
    seconds = _seconds(value)
    if seconds is None or not 0 < seconds <= LONGEST_PAUSE_S:
        raise RefusedError("malformed", "`pause` must be seconds, or a duration like 2s, 500ms or 1m30s")
    return seconds


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Words that ask whether one of `known` was meant, or none."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f": did you mean {match[0]}?" if match else ""


def _shown(name: str) -> str:
    return name[:40] if name.isprintable() else repr(name[:40])


def _seconds(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e9 else None
    if not isinstance(value, str):
        return None
    words = value.strip()
    if _NUMBER.fullmatch(words):
        return float(words)
    if match := _MILLISECONDS.fullmatch(words):
        return float(match[1]) / 1000
    match = _DURATION.fullmatch(words)
    if not match or not any(match.groups()):
        return None
    hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _of_request(name: str, value: object, max_text_chars: int) -> Any:
    """As the say request has it, in its range."""
    if not isinstance(value, str | int | float | list | dict):
        raise RefusedError("malformed", f"`{name}` must not be a {type(value).__name__}")
    text = {"text": "a"} if name != "text" else {}
    request = read_say({**text, name: value}, max_text_chars=max_text_chars if name == "text" else 1)
    return getattr(request, name)


def _words(name: str, value: object, max_chars: int) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > max_chars or "\0" in value:
        raise RefusedError("malformed", f"`{name}` must be a text of 1 to {max_chars} characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RefusedError("malformed", f"`{name}` holds half a character") from error
    return value.strip()


def _room(name: str, value: object, max_text_chars: int) -> str:
    room = _words(name, value, MAX_NAME_CHARS)
    if not room.isprintable() or len(room.encode()) > MAX_NAME_BYTES:
        raise RefusedError("malformed", f"`{name}` must be printable, and of {MAX_NAME_BYTES} bytes at most")
    return room


def _label(name: str, value: object, max_text_chars: int) -> str:
    label = " ".join(_words(name, value, 200).split())
    if not label.isprintable():
        raise RefusedError("malformed", "`label` must be printable")
    if label.isdecimal():
        raise RefusedError("malformed", "`label` must not be a number: --from takes it for that of a cue")
    return label


def _flag(name: str, value: object, max_text_chars: int) -> bool:
    if not isinstance(value, bool):
        raise RefusedError("malformed", f"`{name}` must be true or false")
    return value


_READERS: Mapping[str, Callable[[str, object, int], Any]] = {
    **dict.fromkeys(("text", "voice", "speed", "emotion", "instructions"), _of_request),
    "audio": lambda name, value, _: _words(name, value, 1000),
    "captions": lambda name, value, most: _words(name, value, most),
    "room": _room,
    "pause": lambda name, value, _: read_pause(value),
    "label": _label,
    "step": _flag,
}
