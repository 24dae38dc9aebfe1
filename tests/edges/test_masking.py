from __future__ import annotations

import logging

import pytest

from libacli.edges.masking import TokenMask


@pytest.mark.parametrize(
    ("message", "arguments", "told"),
    [
        ("refused: eyJhbGciOi.eyJzdWIi.c2ln-_x", (), "refused: [token]"),
        (
            "url %s",
            ("wss://x/rtc?access_token=eyJhbGciOi.eyJzdWIi.c2ln&v=1",),
            "url wss://x/rtc?access_token=[token]&v=1",
        ),
        ("100 %", (), "100 %"),
        ("two %d", (2,), "two 2"),
    ],
)
def test_tokens_are_taken_out_and_nothing_else(
    message: str, arguments: tuple[object, ...], told: str
) -> None:
    record = logging.LogRecord("livekit", logging.ERROR, __file__, 1, message, arguments, None)
    assert TokenMask().filter(record)
    assert record.getMessage() == told
