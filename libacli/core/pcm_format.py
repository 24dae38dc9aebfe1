"""How samples may be written down: what others send, where liba's own way is that of `core.audio`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from libacli.core.audio import SAMPLE_RATE

Encoding = Literal["u8", "s16le", "s16be", "s24le", "s32le", "f32le", "f64le", "alaw", "mulaw"]
"""One sample: unsigned, signed or floating, its bits, which byte comes first; or G.711."""

SAMPLE_BYTES: Mapping[Encoding, int] = {
    "u8": 1,
    "s16le": 2,
    "s16be": 2,
    "s24le": 3,
    "s32le": 4,
    "f32le": 4,
    "f64le": 8,
    "alaw": 1,
    "mulaw": 1,
}

MOST_CHANNELS = 8
SLOWEST_RATE, FASTEST_RATE = 4_000, 384_000
"""Hertz; a number beyond them is no sample rate of anything."""


@dataclass(frozen=True)
class PcmFormat:
    """Samples of several channels take turns, as in WAV."""

    rate: int = SAMPLE_RATE
    """Samples a second of each channel."""

    channels: int = 1
    encoding: Encoding = "s16le"

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return SAMPLE_BYTES[self.encoding] * self.channels

    @property
    def bytes_per_second(self) -> int:
        return self.frame_bytes * self.rate


PLAIN = PcmFormat()
"""liba's own: what comes in it is passed on as it is."""
