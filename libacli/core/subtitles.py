"""Captions as files: WebVTT (https://www.w3.org/TR/webvtt1/) and SubRip, read tolerantly."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from libacli.core.caption_cue import CaptionCue
from libacli.core.chunks import next_cut

SubtitleFormat = Literal["vtt", "srt"]

LINE_CHARS = 42
"""Of a line, as broadcasters have it; a cue has two at most."""

_MOST_MS = 360_000_000
"""A hundred hours: what is later is no time."""

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_VTT_TAG = re.compile(r"<[^>]*>?")
_SRT_TAG = re.compile(r"</?(?:[bius]|font(?:\s[^<>]*)?)>|\{\\[^{}]*\}", re.IGNORECASE)
_NUMBER = re.compile(r"\s*\d+\s*")
_BLOCKS_OF_VTT = ("NOTE", "STYLE", "REGION")
_BLANKS = re.compile(r"[^\S\n]+")


def write_subtitles(cues: Iterable[CaptionCue], kind: SubtitleFormat, *, note: str = "") -> str:
    """The file, in order of time. A cue lasts a millisecond at least; one without text is left out.

    `note`, of one line, is for who reads the file itself; only WebVTT has a place for it.
    """
    shown = [cue for cue in sorted(cues, key=_start) if _lines(cue.text)]
    if kind == "vtt":
        notes = [f"NOTE {note}\n"] if note else []
        return "\n".join(["WEBVTT\n", *notes, *(_vtt_cue(cue) for cue in shown)])
    return "\n".join(_srt_cue(number, cue) for number, cue in enumerate(shown, 1))


def read_subtitles(source: str) -> list[CaptionCue]:
    """The cues of a file of either kind, in order of time; what is none is passed over.

    Lines end with LF, CRLF or CR, markup is left out, a comma stands for a point. Raises ValueError when
    there is no cue in it.
    """
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    is_vtt = text.startswith("WEBVTT")
    cues = [cue for block in _blocks(text) if (cue := _read_cue(block, is_vtt=is_vtt))]
    if not cues:
        raise ValueError("there are no captions in it")
    return sorted(cues, key=_start)


def split_cue(cue: CaptionCue, *, line_chars: int = LINE_CHARS) -> list[CaptionCue]:
    """`cue` as cues of at most two lines, cut behind sentences, clauses or words.

    Each lasts as long as its part of the text is; a word that is too long is cut, too.
    """
    parts = _parts(" ".join(cue.text.split()), line_chars)
    total = sum(map(len, parts)) or 1
    cues, said, start_ms = [], 0, cue.start_ms
    for part in parts:
        said += len(part)
        end_ms = cue.start_ms + (cue.end_ms - cue.start_ms) * said // total
        cues.append(CaptionCue(start_ms, end_ms, part))
        start_ms = end_ms
    return cues


def _start(cue: CaptionCue) -> tuple[int, int]:
    return cue.start_ms, cue.end_ms


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _vtt_cue(cue: CaptionCue) -> str:
    text = "\n".join(html.escape(line, quote=False) for line in _lines(cue.text))
    return f"{_timing(cue, '.')}\n{text}\n"


def _srt_cue(number: int, cue: CaptionCue) -> str:
    # The format has no way to write an arrow in a text, and readers look for it.
    text = "\n".join(line.replace("-->", "->") for line in _lines(cue.text))
    return f"{number}\n{_timing(cue, ',')}\n{text}\n"


def _timing(cue: CaptionCue, point: str) -> str:
    start_ms = max(0, cue.start_ms)
    return f"{_time(start_ms, point)} --> {_time(max(start_ms + 1, cue.end_ms), point)}"


def _time(ms: int, point: str) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"


def _blocks(text: str) -> Iterator[list[str]]:
    block: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def _read_cue(block: Sequence[str], *, is_vtt: bool) -> CaptionCue | None:
    if is_vtt and block[0].split(maxsplit=1)[0] in _BLOCKS_OF_VTT:
        return None
    # An identifier may stand before it.
    for at, line in enumerate(block[:2]):
        if found := _TIMING.fullmatch(line):
            start_ms, end_ms = _read_time(found.groups()[:4]), _read_time(found.groups()[4:])
            text = "\n".join(_lines(_plain("\n".join(block[at + 1 :]), is_vtt=is_vtt)))
            return CaptionCue(start_ms, end_ms, text) if text and start_ms < end_ms < _MOST_MS else None
    return None


def _read_time(parts: Sequence[str | None]) -> int:
    hours, minutes, seconds, rest = parts
    whole_s = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole_s * 1000 + int((rest or "0").ljust(3, "0"))


def _plain(text: str, *, is_vtt: bool) -> str:
    return html.unescape(_VTT_TAG.sub("", text)) if is_vtt else _SRT_TAG.sub("", text)


@functools.lru_cache(maxsize=1024)
def _parts(text: str, line_chars: int) -> tuple[str, ...]:
    """Of two lines at most each."""
    parts = []
    while text:
        end = _end_of_part(text, line_chars)
        parts.append(_laid_out(text[:end].strip(), line_chars))
        text = text[end:].lstrip()
    return tuple(parts)


def _end_of_part(text: str, line_chars: int) -> int:
    limit = 2 * line_chars
    while True:
        end = next_cut(text, limit)
        lines = _laid_out(text[:end].strip(), line_chars).split("\n")
        if all(len(line) <= line_chars for line in lines) or limit <= line_chars:
            return end
        limit = max(line_chars, end - 1)


def _laid_out(text: str, line_chars: int) -> str:
    """On one line, or on two that are as long as each other where they can be."""
    if len(text) <= line_chars:
        return text
    blanks = [blank.start() for blank in _BLANKS.finditer(text)]
    if not blanks:
        return text
    middle = min(blanks, key=lambda blank: (max(blank, len(text) - blank - 1), blank))
    return f"{text[:middle]}\n{text[middle + 1 :]}"
