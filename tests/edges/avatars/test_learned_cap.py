from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libacli.edges.avatars.learned_cap import LearnedCap, account_of
from libacli.errors import LibaError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def cap(tmp_path: Path) -> LearnedCap:
    return LearnedCap(tmp_path / "caps.json", "account", clock=Clock())


def test_f8_nothing_is_known_at_first(cap: LearnedCap) -> None:
    assert cap.seconds() is None


@pytest.mark.parametrize("reason", ["max_call_duration reached", "max_call_duration"])
def test_f8_a_cap_that_the_service_tells_of_is_learned_at_once(cap: LearnedCap, reason: str) -> None:
    cap.left(181.0, reason)
    assert cap.seconds() == 181.0


@pytest.mark.parametrize(
    ("second", "learned"), [(184.0, 180.0), (176.0, 176.0), (197.0, 180.0), (300.0, None)]
)
def test_f8_two_that_left_after_about_the_same_time_have_met_a_cap(
    cap: LearnedCap, second: float, learned: float | None
) -> None:
    cap.left(180.0, "")
    assert cap.seconds() is None
    cap.left(second, "")
    assert cap.seconds() == learned


@pytest.mark.parametrize(
    "reason",
    [
        "participant_left_timeout reached",
        "participant_absent_timeout",
        "end_conversation_endpoint_hit",
        "internal error occurred at step 3",
    ],
)
def test_f8_what_ended_for_another_reason_tells_of_no_cap(cap: LearnedCap, reason: str) -> None:
    cap.left(180.0, reason)
    cap.left(180.0, reason)
    assert cap.seconds() is None


def test_f8_avatars_that_go_at_once_have_met_no_cap(cap: LearnedCap) -> None:
    for _ in range(3):
        cap.left(3.0, "")
    assert cap.seconds() is None


def test_f8_all_agents_of_this_user_know_it_and_other_accounts_have_their_own(
    cap: LearnedCap, tmp_path: Path
) -> None:
    cap.left(180.0, "max_call_duration")
    LearnedCap(tmp_path / "caps.json", "other", clock=Clock()).left(60.0, "max_call_duration")
    assert LearnedCap(tmp_path / "caps.json", "account", clock=Clock()).seconds() == 180.0
    assert stat.S_IMODE((tmp_path / "caps.json").stat().st_mode) == 0o600


def test_f8_after_a_day_it_is_tried_without(tmp_path: Path) -> None:
    clock = Clock()
    cap = LearnedCap(tmp_path / "caps.json", "account", clock=clock)
    cap.left(180.0, "max_call_duration")
    clock.now = NOON + timedelta(hours=23)
    assert cap.seconds() == 180.0
    clock.now = NOON + timedelta(hours=24)
    assert cap.seconds() is None


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"account": 5}', '{"account": {"seconds": "x", "at": "y"}}', "[" * 10_000]
)
def test_a_file_that_cannot_be_read_tells_nothing(cap: LearnedCap, tmp_path: Path, text: str) -> None:
    (tmp_path / "caps.json").write_text(text)
    assert cap.seconds() is None
    cap.left(180.0, "max_call_duration")
    assert cap.seconds() == 180.0


def test_what_cannot_be_written_down_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibaError, match="cannot write"):
        LearnedCap(tmp_path / "file" / "caps.json", "account").left(180.0, "max_call_duration")


def test_an_account_is_named_without_its_key() -> None:
    name = account_of("https://tavusapi.com", "key-canary", "face", "pal")
    assert "canary" not in name
    assert name != account_of("https://tavusapi.com", "another-key", "face", "pal")
