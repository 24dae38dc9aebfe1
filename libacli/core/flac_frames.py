"""FLAC cut into its frames as they come: https://www.rfc-editor.org/rfc/rfc9639 (sections 8 and 9).

A frame does not say how long it is; it ends where another one begins and its checksum fits. FFmpeg waits for
ten of them to be sure, which is two seconds of sound.
"""

from __future__ import annotations

from collections.abc import Iterator

from libacli.core.sound_format import BrokenSoundError

STREAMINFO_BYTES = 34
_MARKER = b"fLaC"
_LONGEST_HEADER = 16
_MOST_BYTES = 1 << 24
"""A block of metadata, or a frame, that is longer is none."""


def _crc_table(polynomial: int, bits: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << (bits - 8)
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> (bits - 1) else 0)
            crc &= (1 << bits) - 1
        table.append(crc)
    return tuple(table)


_CRC8, _CRC16 = _crc_table(0x07, 8), _crc_table(0x8005, 16)


class FlacSplitter:
    """Takes pieces of any length. `streaminfo` is known before the first frame comes out."""

    def __init__(self) -> None:
        self.streaminfo = b""
        """What a decoder has to know of the whole stream."""

        self._buffer = bytearray()
        self._is_in_frames = False
        self._searched = 1
        """Up to here no frame begins behind the first one."""

    def push(self, piece: bytes) -> Iterator[bytes]:
        """The frames that are complete with `piece`. Raises BrokenSoundError."""
        self._buffer += piece
        while not self._is_in_frames:
            if not self._metadata():
                return
        while frame := self._frame():
            yield frame

    def finish(self) -> bytes:
        """The last frame, which nothing follows."""
        return bytes(self._buffer) if self._is_in_frames else b""

    def _metadata(self) -> bool:
        """Takes the marker, or a block of metadata; False when more must come first."""
        if self._buffer[:4] == _MARKER:
            del self._buffer[:4]
        if len(self._buffer) < 4:
            return False
        kind, length = self._buffer[0], int.from_bytes(self._buffer[1:4], "big")
        if len(self._buffer) < 4 + length:
            return False
        if kind & 0x7F == 0:
            self.streaminfo = bytes(self._buffer[4 : 4 + length])
        del self._buffer[: 4 + length]
        self._is_in_frames = bool(kind & 0x80)
        if self._is_in_frames and len(self.streaminfo) != STREAMINFO_BYTES:
            raise BrokenSoundError("FLAC that does not say what it is")
        return True

    def _frame(self) -> bytes:
        """Takes the first frame, once its end is known."""
        buffer = self._buffer
        while len(buffer) >= 2 and (at := buffer.find(buffer[:2], self._searched)) > 0:
            if len(buffer) < at + _LONGEST_HEADER:
                break
            self._searched = at + 1
            if _is_header(buffer, at) and _crc(_CRC16, 16, buffer[:at]) == 0:
                frame = bytes(buffer[:at])
                del buffer[:at]
                self._searched = 1
                return frame
        if len(buffer) > _MOST_BYTES:
            raise BrokenSoundError("FLAC without frames")
        return b""


def _is_header(data: bytearray, at: int) -> bool:
    """Whether the header of a frame stands there: its checksum says so."""
    block_code, rate_code = data[at + 2] >> 4, data[at + 2] & 15
    if block_code == 0 or rate_code == 15 or data[at + 3] >> 4 > 10 or data[at + 3] & 1:
        return False
    end = at + 4 + _number_bytes(data[at + 4])
    end += {6: 1, 7: 2}.get(block_code, 0) + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    return _crc(_CRC8, 8, data[at:end]) == data[end]


def _number_bytes(first: int) -> int:
    """Length of a number that is written as UTF-8 writes characters."""
    length = 8 - (~first & 0xFF).bit_length()
    return max(1, min(length, 7))


def _crc(table: tuple[int, ...], bits: int, data: bytes | bytearray) -> int:
    crc, mask, shift = 0, (1 << bits) - 1, bits - 8
    for byte in data:
        crc = (crc << 8 ^ table[crc >> shift ^ byte]) & mask
    return crc
