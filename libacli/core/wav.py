"""WAV as it comes over a network: the samples out of it, piece by piece, and nothing of what is around them.

RIFF: http://soundfile.sapp.org/doc/WaveFormat/; the extensible header:
https://learn.microsoft.com/windows/win32/api/mmreg/ns-mmreg-waveformatextensible.

Who streams does not know the length. What stands there then: 0, 0xFFFFFFFF (OpenAI, FFmpeg), 0x7FFFFFFF
(ElevenLabs), 2,000,000,000 (Pocket TTS). Some send one file for each sentence, one after the other. Some
send, at the end, what their library would have written over the header (Kokoro-FastAPI before 0.3).
"""

from __future__ import annotations

import struct

from libacli.core.pcm_format import FASTEST_RATE, MOST_CHANNELS, SLOWEST_RATE, Encoding, PcmFormat
from libacli.core.sound_format import BrokenSoundError

_ENCODINGS: dict[tuple[int, int], Encoding] = {
    (1, 8): "u8",
    (1, 16): "s16le",
    (1, 24): "s24le",
    (1, 32): "s32le",
    (3, 32): "f32le",
    (3, 64): "f64le",
    (6, 8): "alaw",
    (7, 8): "mulaw",
}
"""By format tag and bits of a sample: https://www.rfc-editor.org/rfc/rfc2361."""

_EXTENSIBLE = 0xFFFE
_UNKNOWN_FROM = 1 << 30
"""Bytes; a length from here on is no length."""

_HELD_BACK = 256
"""Bytes kept until more follow, where the length is not known: a chunk behind the samples is shorter."""

_MOST_HEADER_BYTES = 1 << 20
_FILES = (b"RIFF", b"RF64", b"BW64")
_BEGINNING = b"WAVEfmt "
"""What another file has behind its first 8 bytes."""

_TRAILERS = (b"LIST", b"id3 ", b"ID3 ", b"JUNK", b"bext", b"cue ", b"fact", b"afsp", b"_PMX", b"iXML")


class WavReader:
    """Reads one WAV file after the other. `format` is known before the first samples come out."""

    def __init__(self) -> None:
        self.format: PcmFormat | None = None

        self.missing_bytes = 0
        """After `finish`: how many bytes of sound the header promised that did not come."""

        self.unannounced_bytes = 0
        """How many bytes stand behind the end that the header names and are no chunk, as far as they came."""

        self._buffer = bytearray()
        self._header_bytes = 0
        self._sound_bytes = 0
        self._left: int | None = 0
        """Bytes until the end of the samples; None: nobody knows. 0: a chunk begins here."""

        self._padding = 0
        """Bytes behind the samples that make their number even."""

        self._to_skip = 0
        self._is_behind = False
        """What is skipped is behind the end that the header names."""

    def push(self, piece: bytes) -> bytes:
        """The samples, as bytes of `format`, that are complete with `piece`. Raises BrokenSoundError."""
        self._buffer += piece
        sound = bytearray()
        while self._step(sound):
            pass
        return bytes(sound)

    def finish(self) -> bytes:
        """The rest of the samples. Raises BrokenSoundError when there were none at all."""
        if not self.format:
            raise BrokenSoundError("a WAV file that ends before its samples begin")
        if self._left is not None:
            self.missing_bytes = self._left
            return b""
        return bytes(self._without_trailer(self._buffer))

    def _step(self, sound: bytearray) -> bool:
        """Takes one thing from the buffer; False when more must come first."""
        if self._to_skip:
            return self._skip()
        if self._left is None:
            if (next_file := self._buffer.find(_BEGINNING) - 8) >= 0:
                self._take(sound, next_file)
                self._left = 0
                return True
            self._take(sound, len(self._buffer) - _HELD_BACK)
            return False
        if self._left:
            count = min(self._left, len(self._buffer))
            self._take(sound, count)
            self._left -= count
            self._to_skip = self._padding if not self._left else 0
            return bool(self._buffer)
        return self._chunk()

    def _take(self, sound: bytearray, count: int) -> None:
        if count > 0:
            sound += self._buffer[:count]
            del self._buffer[:count]
            self._sound_bytes += count

    def _skip(self) -> bool:
        count = min(self._to_skip, len(self._buffer))
        del self._buffer[:count]
        self._to_skip -= count
        self.unannounced_bytes += count * self._is_behind
        return not self._to_skip and bool(self._buffer)

    def _chunk(self) -> bool:
        """Begins with the next chunk, or file."""
        if len(self._buffer) < 12 and (not self.format or self._buffer[:4] in _FILES):
            return False
        if len(self._buffer) < 8:
            return False
        name, size = struct.unpack_from("<4sI", self._buffer)
        if name in _FILES:
            if self._buffer[8:12] != b"WAVE":
                raise BrokenSoundError("RIFF that is not WAV")
            self._pass(12)
            self._header_bytes = 12
        elif name == b"fmt ":
            self._check(size)
            if len(self._buffer) < 8 + size:
                return False
            self._set_format(bytes(self._buffer[8 : 8 + size]))
            self._pass(8 + size + size % 2)
        elif name == b"data":
            if not self.format:
                raise BrokenSoundError("a WAV file without a format")
            self._pass(8)
            self._left = size if 0 < size < _UNKNOWN_FROM else None
            self._padding = size % 2
        elif self._sound_bytes and not (name.isascii() and name.decode().isprintable()):
            self._to_skip = _UNKNOWN_FROM  # no chunk: whatever it is, it is not announced as sound
            self._is_behind = True
        else:
            self._check(size)
            self._pass(8 + size + size % 2)
        return True

    def _pass(self, count: int) -> None:
        """Goes on `count` bytes from here, those of a header."""
        self._header_bytes += count
        self._to_skip = count

    def _check(self, size: int) -> None:
        """Raises BrokenSoundError for a chunk that no header has; behind the samples it may have any size."""
        if size > _MOST_HEADER_BYTES and not self._sound_bytes:
            raise BrokenSoundError("a WAV file whose header has no end")

    def _set_format(self, chunk: bytes) -> None:
        if len(chunk) < 16:
            raise BrokenSoundError("a WAV file with a broken header")
        tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
        if tag == _EXTENSIBLE and len(chunk) >= 26:
            tag = struct.unpack_from("<H", chunk, 24)[0]
        bits = block * 8 // channels if channels and block else bits  # 20 bits stand in 24
        encoding = _ENCODINGS.get((tag, bits))
        if not encoding or not 1 <= channels <= MOST_CHANNELS or not SLOWEST_RATE <= rate <= FASTEST_RATE:
            raise BrokenSoundError(f"WAV of format {tag}, {bits} bits, {channels} channels, {rate} Hz")
        found = PcmFormat(rate, channels, encoding)
        if self.format not in (None, found):
            raise BrokenSoundError("WAV that changes its format")
        self.format = found

    def _without_trailer(self, rest: bytearray) -> bytearray:
        """`rest` without what is no sound: chunks that follow the samples, or sizes for the header."""
        header = self._header_bytes
        if 12 < header <= len(rest) and rest[-header:][:4] == bytes(4):
            told = struct.unpack_from("<I", rest, len(rest) - 4)[0]
            if told == self._sound_bytes + len(rest) - header:
                return rest[:-header]
        for start in range(max(0, len(rest) - 8)):
            if rest[start : start + 4] in _TRAILERS and self._are_chunks(rest, start):
                return rest[:start]
        return rest

    def _are_chunks(self, rest: bytearray, start: int) -> bool:
        """Whether chunks stand in `rest` from `start` exactly to its end."""
        while start + 8 <= len(rest):
            start += 8 + struct.unpack_from("<I", rest, start + 4)[0]
            if start == len(rest):
                return True
            start += start % 2
        return start == len(rest)
