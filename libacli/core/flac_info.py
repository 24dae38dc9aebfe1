"""What the head of a FLAC file tells of its sound (RFC 9639, section 8.2)."""

from __future__ import annotations

from dataclasses import dataclass

_MAGIC, _STREAMINFO_BYTES = b"fLaC", 34


@dataclass(frozen=True)
class FlacInfo:
    """How the samples are, and how many."""

    rate: int
    """Samples a second."""

    channels: int
    bits: int
    samples: int
    """Of each channel."""

    @property
    def ms(self) -> int:
        return round(self.samples * 1000 / self.rate)


def read_flac_info(data: bytes) -> FlacInfo:
    """Of a file that tells how long it is. Raises ValueError for another one."""
    body = data[8 : 8 + _STREAMINFO_BYTES]
    if not data.startswith(_MAGIC) or len(body) < _STREAMINFO_BYTES or data[4] & 0x7F:
        raise ValueError("it is no FLAC")
    packed = int.from_bytes(body[10:18], "big")
    info = FlacInfo(
        rate=packed >> 44,
        channels=(packed >> 41 & 0x7) + 1,
        bits=(packed >> 36 & 0x1F) + 1,
        samples=packed & 0xFFFFFFFFF,
    )
    if not info.rate or not info.samples:
        raise ValueError("it does not tell how long it is")
    return info
