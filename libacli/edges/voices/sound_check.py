"""Keeps count of what a voice made of a text, to tell whether it can have been that text, and all of it."""

from __future__ import annotations

from typing import Literal

from libacli.core.audio import BYTES_PER_SAMPLE, SAMPLE_RATE, duration_s, first_audible_s, is_audible
from libacli.core.noise import ENOUGH_BYTES, is_noise
from libacli.core.speaking_time import oddity, shortest_s
from libacli.errors import VoiceRefusedError, VoiceTruncatedError

_LOOKS = 8
"""So many times 10 ms of the first sound are looked at; 20 us each."""

_LATER_BYTES = 4 * ENOUGH_BYTES
"""Behind them, 10 ms of so much."""

_MOST_NOISY = 8
"""Of these, one after the other: a third of a second. A voice clipped at twenty times its size has four."""

ANOTHER_VOICE = "put another voice first in voice.providers"
_OTHER_FORMAT = "check which format it sends, or ask for WAV: voice.extra, response_format = 'wav'"


class SoundCheck:
    """Is told of each piece before anybody hears it."""

    def __init__(self, text: str, speed: float) -> None:
        self.bytes = 0
        self._text = text
        self._speed = speed
        self._is_audible = False
        self._lead_s = 0.0
        """Silence before the first sound, which is trimmed and tells nothing of the pace."""

        self._odd_byte = b""
        self._unjudged = b""
        self._looks_left = _LOOKS
        self._later = bytearray()
        self._noisy = 0

    def add(self, piece: bytes) -> None:
        """Raises VoiceRefusedError when it is no sound at all, which is mostly known within 10 ms of it."""
        self.bytes += len(piece)
        if not self._looks_left:
            self._judge_later(piece)
            return
        piece = self._odd_byte + piece
        whole = len(piece) - len(piece) % BYTES_PER_SAMPLE
        self._odd_byte, piece = piece[whole:], piece[:whole]
        if not self._is_audible:
            if not is_audible(piece):
                self._lead_s += duration_s(len(piece))
                return
            self._is_audible = True
            silent_s = first_audible_s(piece) or 0.0
            self._lead_s += silent_s
            piece = piece[round(silent_s * SAMPLE_RATE) * BYTES_PER_SAMPLE :]
        self._judge(piece)

    def check(self) -> None:
        """Raises VoiceTruncatedError for sound that is too short, VoiceRefusedError for none at all."""
        seconds = duration_s(self.bytes)
        if not self.bytes:
            raise VoiceRefusedError("the voice made no sound of this text", hint=ANOTHER_VOICE)
        if self.bytes % BYTES_PER_SAMPLE or seconds < shortest_s(self._text, self._speed):
            raise VoiceTruncatedError(f"the sound ended after {seconds:.2f} s, before the text did")
        if not self._is_audible:
            raise VoiceRefusedError(
                f"the voice made {seconds:.2f} s of silence of this text", hint=ANOTHER_VOICE
            )

    def oddity(self) -> Literal["", "fast", "slow"]:
        """Whether it was out of all reason fast or slow."""
        return oddity(self._text, duration_s(self.bytes) - self._lead_s, self._speed)

    def _judge(self, piece: bytes) -> None:
        self._unjudged += piece
        while self._looks_left and len(self._unjudged) >= ENOUGH_BYTES:
            if is_noise(self._unjudged):
                raise VoiceRefusedError(
                    "the speech service answered with something that is no sound",
                    hint=_OTHER_FORMAT,
                )
            self._looks_left -= 1
            self._unjudged = self._unjudged[ENOUGH_BYTES:]
        if not self._looks_left:
            self._judge_later(self._unjudged + self._odd_byte)
            self._unjudged = b""

    def _judge_later(self, piece: bytes) -> None:
        """With a byte too few, or a file behind it, what began as sound goes on as something else."""
        self._later += piece
        while len(self._later) >= _LATER_BYTES:
            self._noisy = self._noisy + 1 if is_noise(bytes(self._later[:ENOUGH_BYTES])) else 0
            del self._later[:_LATER_BYTES]
            if self._noisy == _MOST_NOISY:
                seconds = duration_s(self.bytes)
                raise VoiceRefusedError(
                    f"the speech service sent {seconds:.2f} s of which the end is no sound any more",
                    hint=_OTHER_FORMAT,
                )
