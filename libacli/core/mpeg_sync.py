"""Frames of MPEG audio (MP3) and AAC (ADTS), told from samples that begin with the same bytes by chance.

Such a stream has no signature, only a header at the start of each frame: 11 or 12 bits that are set, then
what the frame holds and how long it is. Two bytes of PCM look like that once in some hundred times; that a
second such header, for the same sound, stands exactly where the first one ends is no chance any more.

MPEG: ISO 11172-3 2.4.2.3 and http://www.mp3-tech.org/programmer/frame_header.html. ADTS: ISO 14496-3 1.A.3.2,
https://wiki.multimedia.cx/index.php/ADTS.
"""

from __future__ import annotations

from typing import Literal

MpegKind = Literal["mp3", "aac"]

HEADER_BYTES = 7
"""Of ADTS; those of MPEG are shorter."""

_KBITS_1_2 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_KBITS_1_3 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = (44_100, 48_000, 32_000)
_ADTS_RATES = 13


def mpeg_at(data: bytes, start: int = 0, *, frames: int = 2) -> MpegKind | Literal[False] | None:
    """What so many frames in a row at `start` are; False: nothing; None: there are too few bytes to tell."""
    if len(data) - start < 2:
        return None if data[start:] in (b"", b"\xff") else False
    if data[start] != 0xFF or data[start + 1] & 0xE0 != 0xE0:
        return False
    is_adts = data[start + 1] & 0xF6 == 0xF0
    frame_bytes, same = (_adts_bytes, _ADTS_SAME) if is_adts else (_mp3_bytes, _MP3_SAME)
    at = start
    for _ in range(frames):
        if len(data) - at < HEADER_BYTES:
            return None
        if any(data[start + byte] & mask != data[at + byte] & mask for byte, mask in same):
            return False
        if not (length := frame_bytes(data, at)):
            return False
        at += length
    return "aac" if is_adts else "mp3"


_MP3_SAME = ((0, 0xFF), (1, 0xFE), (2, 0x0C))
"""Bytes of the header, and which of their bits are the same in each frame: version, layer, sample rate."""

_ADTS_SAME = ((0, 0xFF), (1, 0xFF), (2, 0xFC))


def _mp3_bytes(data: bytes, at: int) -> int:
    """Length of the frame of MPEG audio, layer II or III, whose header is at `at`; 0 if it is none."""
    version, layer = data[at + 1] >> 3 & 3, data[at + 1] >> 1 & 3  # 3: MPEG 1, 2: 2, 0: 2.5; 1: III, 2: II
    kbits_index, rate_index, padding = data[at + 2] >> 4, data[at + 2] >> 2 & 3, data[at + 2] >> 1 & 1
    if data[at] != 0xFF or version == 1 or layer not in (1, 2) or rate_index == 3 or kbits_index in (0, 15):
        return 0
    table = _KBITS_2 if version != 3 else _KBITS_1_3 if layer == 1 else _KBITS_1_2
    rate = _RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 576 if layer == 1 and version != 3 else 1152
    return samples // 8 * table[kbits_index] * 1000 // rate + padding


def _adts_bytes(data: bytes, at: int) -> int:
    """Length of the ADTS frame whose header is at `at`; 0 if it is none."""
    if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0 or data[at + 2] >> 2 & 15 >= _ADTS_RATES:
        return 0
    length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    return length if length > HEADER_BYTES else 0
