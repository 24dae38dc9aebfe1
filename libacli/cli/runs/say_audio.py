"""What `liba say --audio` does before it hands a sound over: it reads that, and its captions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from libacli.cli.output import output
from libacli.core.caption_cue import CaptionCue
from libacli.core.subtitles import read_subtitles
from libacli.core.text_decoder import TextDecoder
from libacli.edges.sounds.sound_file import PreparedSound, prepare_sound
from libacli.errors import UsageError

_STANDARD_INPUT = Path("-")
_BESIDE = (".vtt", ".srt")
_MOST_BYTES = 4 << 20


def prepared(
    audio: Path,
    *,
    text: str | None,
    captions: Path | None,
    max_s: float,
    tell: Callable[[str], None] = output.status,
) -> PreparedSound:
    """The sound of the file `audio`, or of standard input.

    It is shown `text` with it, or the captions of the file `captions`, or of one beside it with the same
    name, which `tell` is told, as that not all of the sound is there. Raises UsageError, and what
    `prepare_sound` raises.
    """
    if text is not None and captions:
        raise UsageError("--text and --captions are two captions", hint="give one of them")
    if captions is None and text is None and audio != _STANDARD_INPUT and audio.is_file():
        captions = next((file for ending in _BESIDE if (file := audio.with_suffix(ending)).is_file()), None)
    cues = captions_of(captions) if captions else ()
    source = sys.stdin.buffer if audio == _STANDARD_INPUT else audio
    sound = prepare_sound(source, max_s=max_s, captions=cues, text=text or "")
    if sound.missing_s:
        whole_s = sound.given.seconds + sound.missing_s
        name = "standard input" if audio == _STANDARD_INPUT else audio
        tell(f"{name} is cut off: {sound.given.seconds:.1f} s of {whole_s:.1f} s are there")
    if captions:
        tell(f"captions {len(sound.given.captions)} of {captions}")
    return sound


def captions_of(file: Path) -> Sequence[CaptionCue]:
    """What a WebVTT or SRT file has. Raises UsageError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError("it is too large")
        decoder = TextDecoder()
        return read_subtitles(decoder.push(content) + decoder.flush())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot read captions from {file}: {reason}", hint="give a WebVTT or SRT file: --captions FILE"
        ) from error
