"""What the headers of an answer say about the sound in it: often little, and not always the truth.

Seen: `audio/pcm`, `audio/pcm;rate=22050` (openedai-speech), `audio/pcm;rate=24000;channels=1` (OpenRouter),
`audio/l16;rate=16000` (little-endian unless `endianness=big-endian`: IBM, Google), `audio/basic` (G.711 at
8 kHz: RFC 2046), and beside them `X-Sample-Rate`, `X-Audio-Sample-Rate`, `X-Channels`, `X-Bit-Depth`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from libacli.core.pcm_format import (
    FASTEST_RATE,
    MOST_CHANNELS,
    SAMPLE_BYTES,
    SLOWEST_RATE,
    Encoding,
    PcmFormat,
)

_NUMBER = re.compile(r"\s*(\d{1,6})(?![\d.])")
_RATE_NAMES = ("rate", "sample_rate", "samplerate")
_CHANNELS_NAMES = ("channels", "channel")
_BITS_NAMES = ("bits", "bit_depth", "bitdepth", "bits_per_sample")
_ENCODING_NAMES = ("encoding", "format", "codec", "codecs")
_HEADERS = {
    f"{prefix}{header}": name
    for prefix in ("", "x-audio-", "x-")
    for header, name in (("sample-rate", "rate"), ("channels", "channels"), ("bit-depth", "bits"))
}

_G711: Mapping[str, Encoding] = {
    "audio/basic": "mulaw",
    "audio/pcmu": "mulaw",
    "audio/mulaw": "mulaw",
    "audio/x-mulaw": "mulaw",
    "audio/pcma": "alaw",
    "audio/alaw": "alaw",
    "audio/x-alaw-basic": "alaw",
}
_G711_RATE = 8_000
_BY_BITS: Mapping[int, Encoding] = {8: "u8", 16: "s16le", 24: "s24le", 32: "s32le"}
_LINEAR = re.compile(r"audio/(?:x-)?l(8|16|24|32)$")
"""RFC 3551 and RFC 3190 name samples by their bits."""

_MPEG = re.compile(r"audio/(x-)?(mpeg\d?|mp[23]|mpa|mpg|aacp?)$")
_NO_SOUND = re.compile(r"(text|image|font|multipart)/|application/(.+\+)?(json|xml|javascript|pdf|zip)$")


@dataclass(frozen=True)
class SoundLabel:
    """0 and "" where nothing is said."""

    media_type: str = ""
    """In small letters, without parameters."""

    rate: int = 0
    channels: int = 0
    encoding: Encoding = "s16le"
    """Of samples without a header of their own."""

    @property
    def is_mpeg(self) -> bool:
        """Whether it promises MP3 or AAC, of which there are streams without an unmistakable beginning."""
        return bool(_MPEG.match(self.media_type))

    @property
    def denies_sound(self) -> bool:
        """Whether it says that there is none."""
        return bool(_NO_SOUND.match(self.media_type))

    def pcm_format(self, rate: int = 0) -> PcmFormat:
        """How bytes without a header are to be read; a `rate` that is not 0 goes before what is said here."""
        usual = _G711_RATE if self.encoding in ("alaw", "mulaw") else PcmFormat.rate
        return PcmFormat(rate or self.rate or usual, self.channels or 1, self.encoding)


def read_label(headers: Mapping[str, str]) -> SoundLabel:
    """What an answer's `headers` say; their names are in small letters, or `headers` knows them in any."""
    media_type, *parameters = headers.get("content-type", "").lower().split(";")
    told = {name: headers[header] for header, name in _HEADERS.items() if header in headers}
    told |= dict(_parameter(one) for one in parameters)
    return SoundLabel(
        media_type.strip(),
        _number(told, _RATE_NAMES, SLOWEST_RATE, FASTEST_RATE),
        _number(told, _CHANNELS_NAMES, 1, MOST_CHANNELS),
        _encoding(media_type.strip(), told),
    )


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().replace("-", "_"), value.strip().strip('"')


def _number(told: Mapping[str, str], names: tuple[str, ...], least: int, most: int) -> int:
    """The first of `names` that has a number in those bounds; else 0."""
    for name in names:
        if (found := _NUMBER.match(told.get(name, ""))) and least <= int(found[1]) <= most:
            return int(found[1])
    return 0


def _encoding(media_type: str, told: Mapping[str, str]) -> Encoding:
    if media_type in _G711:
        return _G711[media_type]
    for name in _ENCODING_NAMES:
        word = told.get(name, "").removeprefix("pcm_").replace("-", "")
        for encoding in SAMPLE_BYTES:
            if word == encoding:
                return encoding
        if "float" in word:
            return "f32le"
    if told.get("endianness", told.get("byteorder", "")).startswith("big"):
        return "s16be"
    linear = _LINEAR.match(media_type)
    return _BY_BITS.get(_number(told, _BITS_NAMES, 8, 32) or int(linear[1] if linear else 0), "s16le")
