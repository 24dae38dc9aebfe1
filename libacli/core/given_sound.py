"""A sound that is heard instead of a voice: what a say request tells of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libacli.core.audio import BYTES_PER_SECOND
from libacli.core.caption_cue import CaptionCue
from libacli.core.text import clean
from libacli.errors import RefusedError

GIVEN = "given"
"""Provider, model and speaker of what no voice has said."""

MOST_SECONDS = 1800
"""Of one sound, whatever the settings say."""

MOST_CAPTION_CHARS = 20_000
"""Half an hour of quick speech."""

MOST_CUES = 2_000
_HEAD_BYTES = 64 * 1024
_SHA256 = re.compile("[0-9a-f]{64}")


def most_bytes(seconds: float) -> int:
    """Size that a sound of so many seconds can have when it is sent: FLAC is never larger than samples."""
    return _HEAD_BYTES + int(seconds * BYTES_PER_SECOND * 1.05)


@dataclass(frozen=True)
class GivenSound:
    """A sound, and what is shown while it is heard."""

    sha256: str
    """Of what was sent, in hex."""

    ms: int
    """How long it is, in milliseconds."""

    captions: tuple[CaptionCue, ...] = ()
    """In order of time."""

    @property
    def seconds(self) -> float:
        return self.ms / 1000

    @property
    def words(self) -> str:
        return "\n".join(cue.text for cue in self.captions)

    def encode(self) -> dict[str, Any]:
        """As JSON members."""
        captions = [[cue.start_ms, cue.end_ms, cue.text] for cue in self.captions]
        return {"sha256": self.sha256, "ms": self.ms, **({"captions": captions} if captions else {})}


def read_sound(members: object) -> GivenSound:
    """The other way round. Raises RefusedError: `malformed`."""
    match members:
        case {"sha256": str(sha256), "ms": int(ms), **others} if _SHA256.fullmatch(sha256):
            if not 0 < ms <= MOST_SECONDS * 1000:
                raise _malformed(f"`ms` must be 1 to {MOST_SECONDS * 1000}")
            return GivenSound(sha256, ms, _read_captions(others.get("captions", []), ms))
    raise _malformed("it must have `sha256`, 64 hex digits, and `ms`, a whole number")


def check_captions(captions: Sequence[CaptionCue]) -> None:
    """Raises RefusedError when there are more of them than an agent takes."""
    if len(captions) > MOST_CUES or sum(len(cue.text) for cue in captions) > MOST_CAPTION_CHARS:
        raise RefusedError(
            "too_large", f"captions may have {MOST_CAPTION_CHARS} characters in {MOST_CUES} parts"
        )


def _read_captions(members: object, most_ms: int) -> tuple[CaptionCue, ...]:
    if not isinstance(members, list) or len(members) > MOST_CUES:
        raise _malformed(f"`captions` must be a list of at most {MOST_CUES}")
    captions = tuple(_read_cue(member, most_ms) for member in members)
    if list(captions) != sorted(captions, key=lambda cue: cue.start_ms):
        raise _malformed("`captions` must be in order of time")
    check_captions(captions)
    return captions


def _read_cue(member: object, most_ms: int) -> CaptionCue:
    match member:
        case [int(start_ms), int(end_ms), str(text)] if 0 <= start_ms < end_ms <= most_ms:
            try:
                if words := clean(text):
                    return CaptionCue(start_ms, end_ms, words)
            except ValueError as error:
                raise _malformed(str(error)) from error
    raise _malformed("a caption is [start_ms, end_ms, text], within the sound")


def _malformed(message: str) -> RefusedError:
    return RefusedError("malformed", f"`sound`: {message}")
