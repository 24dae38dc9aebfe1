from __future__ import annotations

import pytest

from libacli.core.pcm_format import PLAIN, PcmFormat
from libacli.core.sound_label import read_label


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, PLAIN),
        ({"content-type": ""}, PLAIN),
        ({"content-type": "audio/pcm"}, PLAIN),
        ({"content-type": "application/octet-stream"}, PLAIN),
        ({"content-type": "audio/pcm;rate=22050"}, PcmFormat(22_050)),
        ({"content-type": "Audio/PCM; Rate=22050"}, PcmFormat(22_050)),
        ({"content-type": 'audio/L16; rate="16000"; channels=2'}, PcmFormat(16_000, 2)),
        ({"content-type": "audio/pcm;rate=24000;channels=1"}, PLAIN),
        ({"content-type": "audio/x-raw;format=S16LE;rate=8000"}, PcmFormat(8_000)),
        ({"content-type": "audio/x-raw; format=F32LE"}, PcmFormat(24_000, 1, "f32le")),
        ({"content-type": "audio/pcm; encoding=float; bits=32"}, PcmFormat(24_000, 1, "f32le")),
        ({"content-type": "audio/pcm;bits=16;encoding=signed-int;big-endian=false"}, PLAIN),
        ({"content-type": "audio/pcm;bits=24"}, PcmFormat(24_000, 1, "s24le")),
        ({"content-type": "audio/l16;rate=16000;endianness=big-endian"}, PcmFormat(16_000, 1, "s16be")),
        ({"content-type": "audio/basic"}, PcmFormat(8_000, 1, "mulaw")),
        ({"content-type": "audio/PCMA;rate=16000"}, PcmFormat(16_000, 1, "alaw")),
        ({"content-type": "audio/pcm", "x-sample-rate": "22050"}, PcmFormat(22_050)),
        ({"content-type": "audio/pcm", "x-audio-sample-rate": "44100 Hz"}, PcmFormat(44_100)),
        ({"x-sample-rate": "48000", "x-channels": "2", "x-bit-depth": "16"}, PcmFormat(48_000, 2)),
        ({"content-type": "audio/pcm;rate=16000", "x-sample-rate": "22050"}, PcmFormat(16_000)),
        ({"content-type": "audio/pcm;rate=22050Hz"}, PcmFormat(22_050)),
        ({"content-type": "audio/pcm;rate=22.05kHz"}, PLAIN),
        ({"content-type": "audio/L8;rate=8000"}, PcmFormat(8_000, 1, "u8")),
        ({"content-type": "audio/L24;rate=48000;channels=2"}, PcmFormat(48_000, 2, "s24le")),
        ({"content-type": "audio/L16;rate=24000;byteorder=big-endian"}, PcmFormat(24_000, 1, "s16be")),
        ({"content-type": "audio/pcm;bitdepth=24"}, PcmFormat(24_000, 1, "s24le")),
        ({"content-type": "audio/pcm;rate=0"}, PLAIN),
        ({"content-type": "audio/pcm;rate=999999;channels=99"}, PLAIN),
        ({"content-type": "audio/pcm;rate=;;=;channels"}, PLAIN),
    ],
)
def test_what_the_headers_say_of_samples(headers: dict[str, str], expected: PcmFormat) -> None:
    assert read_label(headers).pcm_format() == expected


def test_a_rate_that_is_set_goes_before_what_the_headers_say() -> None:
    assert read_label({"content-type": "audio/pcm;rate=16000"}).pcm_format(22_050) == PcmFormat(22_050)


@pytest.mark.parametrize(
    "media_type",
    [
        "text/html",
        "TEXT/plain; charset=utf-8",
        "application/json",
        "application/problem+json",
        "image/png",
        "application/xhtml+xml",
    ],
)
def test_some_labels_say_that_there_is_no_sound(media_type: str) -> None:
    assert read_label({"content-type": media_type}).denies_sound


@pytest.mark.parametrize(
    "media_type", ["", "audio/pcm", "audio/mpeg", "application/octet-stream", "video/mp4"]
)
def test_others_do_not(media_type: str) -> None:
    assert not read_label({"content-type": media_type}).denies_sound


@pytest.mark.parametrize(
    "media_type",
    ["audio/mpeg", "Audio/MPEG", "audio/mp3", "audio/x-mp3", "audio/mpeg3", "audio/aac", "audio/aacp"],
)
def test_some_labels_promise_what_has_no_signature(media_type: str) -> None:
    assert read_label({"content-type": media_type}).is_mpeg
