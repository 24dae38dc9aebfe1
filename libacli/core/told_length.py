"""How long a file says that its sound is, by how it begins."""

from __future__ import annotations

from libacli.core.flac_info import read_flac_info
from libacli.core.sound_format import BrokenSoundError
from libacli.core.wav import WavReader


def told_length_s(begin: bytes) -> float:
    """Seconds, at least, that a WAV or FLAC file has if it is whole; 0.0: this one does not tell."""
    try:
        return read_flac_info(begin).ms / 1000
    except ValueError:
        return _of_wav(begin)


def _of_wav(begin: bytes) -> float:
    reader = WavReader()
    try:
        come = len(reader.push(begin) + reader.finish())
    except BrokenSoundError:
        return 0.0
    return (come + reader.missing_bytes) / reader.format.bytes_per_second if reader.format else 0.0
