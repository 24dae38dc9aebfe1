"""What the first bytes of an answer are: which kind of sound, or something that is none.

The bytes decide. A label is asked only where they could be anything: samples have no signature, and what a
server calls `audio/mpeg` may be samples (litellm), what it calls `audio/pcm` may be MP3 or WAV.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from libacli.core.mpeg_sync import mpeg_at
from libacli.core.sound_label import SoundLabel

SoundKind = Literal["pcm", "wav", "mp3", "aac", "ogg", "flac", "webm", "mp4", "late mp4", "aiff", "au", "caf"]
"""`pcm`: samples without a header. `late mp4`: what is needed to read any of it comes last."""

_ANY = None
_SIGNATURES: tuple[tuple[SoundKind, tuple[bytes | None, ...]], ...] = (
    ("wav", (b"RIFF", _ANY, b"WAVE")),
    ("wav", (b"RF64", _ANY, b"WAVE")),
    ("wav", (b"BW64", _ANY, b"WAVE")),
    ("ogg", (b"OggS",)),
    ("flac", (b"fLaC",)),
    ("webm", (b"\x1a\x45\xdf\xa3",)),
    ("aiff", (b"FORM", _ANY, b"AIFF")),
    ("aiff", (b"FORM", _ANY, b"AIFC")),
    ("au", (b".snd",)),
    ("caf", (b"caff",)),
)
"""Four bytes each: https://en.wikipedia.org/wiki/List_of_file_signatures."""

_NO_SOUND: tuple[tuple[str, bytes], ...] = (
    ("a PNG image", b"\x89PNG\r\n\x1a\n"),
    ("a JPEG image", b"\xff\xd8\xff"),
    ("a GIF image", b"GIF8"),
    ("a WebP image", b"WEBP"),
    ("a PDF document", b"%PDF-"),
    ("a ZIP archive", b"PK\x03\x04"),
    ("compressed data", b"\x1f\x8b\x08\x00"),
    ("compressed data", b"\x28\xb5\x2f\xfd"),
    ("Windows Media", b"\x30\x26\xb2\x75\x8e\x66"),
    ("AMR", b"#!AMR"),
    ("big-endian WAV", b"RIFX"),
    ("Wave64", b"riff\x2e\x91\xcf\x11"),
    ("WavPack", b"wvpk"),
    ("True Audio", b"TTA1"),
    ("SoX's own format", b".SoX"),
    ("SoX's own format", b"XoS."),
    ("a Creative Voice file", b"Creative Voice File"),
    ("Flash video", b"FLV\x01"),
)

_BLANKS = b"\xef\xbb\xbf\r\n"
"""What scripts let slip before an answer begins: empty lines, a byte order mark."""

_MOST_BLANKS = 16
_BASE64 = re.compile(rb"(?=.{,63}[0-9])(?=.{,63}[a-z])(?=.{,63}[A-Z])[A-Za-z0-9+/=_-]{64}")
_TEXT_BYTES = 64
_ASCII = frozenset(b"\t\r\n" + bytes(range(0x20, 0x7F)))
_MOSTLY = 0.85
"""So many of so many bytes are letters by chance once in 10 to the 15."""

_SYNC_WITHIN = 4_096
"""Three frames must be within it, if a stream that is called MP3 or AAC does not begin with one."""

_BOX_WITHIN = 65_536


class BrokenSoundError(ValueError):
    """It cannot be made into samples; says what it is, in a clause that follows "sent"."""


@dataclass(frozen=True)
class Content:
    """What an answer is."""

    kind: SoundKind | None
    """None: no sound."""

    start: int = 0
    """Bytes in front of it that do not belong to it."""

    words: str = ""
    """What it is instead, for people."""


def recognise(begin: bytes, label: SoundLabel, *, is_all: bool = False) -> Content | None:
    """What an answer with this beginning is; None while more of it is needed and `is_all` does not say no.

    Four bytes do for nearly all samples, and 64 KB for everything.
    """
    if not begin:
        return Content("pcm") if is_all else None
    for look in (_signature, _behind_blanks, _mp4, _mpeg, _text):
        found = look(begin, label, is_all)
        if isinstance(found, Content) or (found is None and not is_all):
            return found
    if label.denies_sound:
        return Content(None, words=label.media_type)
    return Content("pcm")


_Answer = Content | None | Literal[False]
"""Found; perhaps, when more has come; no."""


def _signature(begin: bytes, label: SoundLabel, is_all: bool) -> _Answer:
    is_open = False
    for kind, words in _SIGNATURES:
        fits = _fits(begin, words)
        if fits:
            return Content(kind)
        is_open |= fits is None
    for what, signature in _NO_SOUND:
        at = 8 if signature == b"WEBP" else 0
        if begin[at : at + len(signature)] == signature:
            return Content(None, words=what)
        is_open |= signature.startswith(begin[at:]) and (at == 0 or begin[:4] == b"RIFF")
    return None if is_open else False


def _behind_blanks(begin: bytes, label: SoundLabel, is_all: bool) -> _Answer:
    blanks = len(begin) - len(begin.lstrip(_BLANKS))
    if not 0 < blanks <= _MOST_BLANKS:
        return False
    if blanks == len(begin):
        return None
    found = _signature(begin[blanks:], label, is_all)
    return replace(found, start=blanks) if isinstance(found, Content) else found


def _fits(begin: bytes, words: tuple[bytes | None, ...]) -> bool | None:
    """Whether `begin` has these words of four bytes; None: as far as it goes."""
    for position, word in enumerate(words):
        part = begin[position * 4 : position * 4 + 4]
        if word is not None and not word.startswith(part):
            return False
        if len(part) < 4:
            return None
    return True


def _mp4(begin: bytes, label: SoundLabel, is_all: bool) -> _Answer:
    """MP4, and whether its index comes before what it is the index of."""
    if begin[4:8] not in (b"ftyp", b"styp"):
        return None if len(begin) < 8 and begin[:3] in (b"", b"\0", b"\0\0", b"\0\0\0") else False
    at = 0
    while at + 16 <= len(begin):
        size, name = int.from_bytes(begin[at : at + 4], "big"), begin[at + 4 : at + 8]
        if name in (b"moov", b"moof"):
            return Content("mp4")
        if name == b"mdat" or size == 0:
            return Content("late mp4")
        at += int.from_bytes(begin[at + 8 : at + 16], "big") if size == 1 else max(size, 8)
        if at > _BOX_WITHIN:
            return Content("late mp4")
    return None


def _mpeg(begin: bytes, label: SoundLabel, is_all: bool) -> _Answer:
    if b"ID3".startswith(begin[:3]):
        if len(begin) < 4:
            return None
        return Content("mp3") if begin[3] < 16 else False
    found = mpeg_at(begin)
    if found is not False:
        return Content(found) if found else None
    if not label.is_mpeg:
        return False
    part = begin[:_SYNC_WITHIN]
    starts = (at for at in range(1, len(part)) if part[at] == 0xFF)
    for at in starts:
        if kind := mpeg_at(part, at, frames=3):
            return Content(kind, start=at)
    return None if len(part) < _SYNC_WITHIN else False


def _text(begin: bytes, label: SoundLabel, is_all: bool) -> _Answer:
    part = begin[:_TEXT_BYTES]
    if not _is_text(part, len(part) if is_all else _TEXT_BYTES):
        return False
    if len(part) < _TEXT_BYTES and not is_all:
        return None
    text = begin[:256].decode(errors="replace").lstrip("\ufeff \t\r\n").lower()
    if text.startswith(("{", "[")):
        return Content(None, words="JSON")
    if text.startswith(("<!doctype html", "<html", "<head", "<body")):
        return Content(None, words="a web page")
    if text.startswith("data:audio/") or _BASE64.match(begin):
        return Content(None, words="base64")
    if text.startswith(("data:", "event:", ":")):
        return Content(None, words="a stream of events")
    return Content(None, words="XML" if text.startswith("<") else "text")


def _is_text(part: bytes, length: int) -> bool:
    """Whether `part`, of `length` bytes, is mostly ASCII, or UTF-8 of which the last character may be cut."""
    if b"\0" in part:
        return False
    if sum(byte not in _ASCII for byte in part) <= length * (1 - _MOSTLY):
        return True
    for cut in range(min(4, len(part) + 1)):
        try:
            text = part[: len(part) - cut].decode()
        except UnicodeDecodeError:
            continue
        return all(char.isprintable() or char in "\t\r\n\ufeff" for char in text)
    return False
