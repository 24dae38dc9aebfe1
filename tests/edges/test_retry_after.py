from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from libacli.edges.retry_after import retry_after_s

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
A_MINUTE_LATER = format_datetime(NOON + timedelta(minutes=1), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "words", "seconds"),
    [
        ({}, "", None),
        ({"retry-after": "20"}, "", 20),
        ({"retry-after": "0.4"}, "", 0.4),
        ({"retry-after": "-3"}, "", 0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "inf"}, "", None),
        ({"retry-after-ms": "1500"}, "", 1.5),
        ({"retry-after-ms": "1500", "retry-after": "99"}, "", 1.5),
        ({"retry-after-ms": "x", "retry-after": "7"}, "", 7),
        ({"retry-after": A_MINUTE_LATER, "date": format_datetime(NOON, usegmt=True)}, "", 60),
        (
            {"retry-after": A_MINUTE_LATER, "date": format_datetime(NOON + timedelta(hours=1), usegmt=True)},
            "",
            0,
        ),
        ({}, "Please retry after 20 seconds. Please go here", 20),
        ({}, "Rate limit reached for tts-1. Please try again in 7.5s.", 7.5),
        ({}, "Please try again in 250ms.", 0.25),
        ({}, "please try again in 2m", 120),
        ({"retry-after": "5"}, "Please retry after 20 seconds", 5),
    ],
)
def test_when_a_server_wants_to_be_asked_again(
    headers: dict[str, str], words: str, seconds: float | None
) -> None:
    assert retry_after_s(headers, words) == (None if seconds is None else pytest.approx(seconds))


def test_a_date_counts_from_now_where_the_server_tells_no_time() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    found = retry_after_s({"retry-after": later})
    assert found is not None and 25 < found <= 30
