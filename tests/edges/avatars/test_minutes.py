from __future__ import annotations

import fcntl
import json
import math
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from libacli.config import Settings
from libacli.edges.avatars.minutes import AvatarMinutes, avatar_minutes
from libacli.errors import LibaError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # files are written in threads, which a clock that is set forward does not wait for


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def minutes(tmp_path: Path, clock: Clock) -> AvatarMinutes:
    return AvatarMinutes(tmp_path / "state" / "minutes.json", max_minutes=10, clock=clock)


async def test_what_is_used_is_counted_once_however_often_it_is_told(minutes: AvatarMinutes) -> None:
    for total_s in (0, 60, 60, 90):
        await minutes.count(total_s)
    assert minutes.left_s == 10 * 60 - 90
    (cap,) = minutes.usage()
    assert (cap.used, cap.limit, cap.unit, cap.resets_in_s) == (1.5, 10, "minutes", 12 * 3600)


async def test_it_is_counted_over_all_rooms_and_restarts(
    minutes: AvatarMinutes, tmp_path: Path, clock: Clock
) -> None:
    other = AvatarMinutes(tmp_path / "state" / "minutes.json", max_minutes=10, clock=clock)
    await minutes.count(300)
    await other.count(300)
    assert other.are_used_up
    assert not minutes.are_used_up
    await minutes.count(300)
    assert minutes.are_used_up


async def test_the_next_day_begins_at_zero(minutes: AvatarMinutes, clock: Clock) -> None:
    await minutes.count(600)
    assert minutes.are_used_up
    clock.now += timedelta(hours=12)
    assert not minutes.are_used_up
    await minutes.until_some_are_left()
    await minutes.count(630)
    assert minutes.left_s == 570


async def test_without_a_cap_nothing_is_written_and_nothing_is_ever_used_up(tmp_path: Path) -> None:
    minutes = AvatarMinutes(tmp_path / "minutes.json", max_minutes=0)
    await minutes.count(1e9)
    assert (minutes.left_s, minutes.usage(), os.listdir(tmp_path)) == (math.inf, [], [])


async def test_nobody_else_may_read_it(minutes: AvatarMinutes, tmp_path: Path) -> None:
    await minutes.count(60)
    file = tmp_path / "state" / "minutes.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert json.loads(file.read_text()) == {
        **{"day": "2026-03-01", "seconds": 60},
        **{"rooms": {"": 60}, "silent": {}},
    }


async def test_a_lock_that_somebody_keeps_costs_a_count_and_not_the_loop_that_ends_avatars(
    minutes: AvatarMinutes, tmp_path: Path
) -> None:
    await minutes.count(60)
    with (tmp_path / "state" / "minutes.lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LibaError, match="another process has locked it"):
            await minutes.count(70)
    await minutes.count(70)
    assert minutes.left_s == 530


async def test_nobody_else_can_hold_its_lock(minutes: AvatarMinutes, tmp_path: Path) -> None:
    await minutes.count(60)
    assert stat.S_IMODE((tmp_path / "state" / "minutes.lock").stat().st_mode) == 0o600


@pytest.mark.parametrize("rubbish", ["", "{", "[]", '{"day": "x", "seconds": 1}', '{"day": "2026-03-01"}'])
async def test_a_file_that_cannot_be_read_is_begun_anew_and_that_is_said(
    minutes: AvatarMinutes, tmp_path: Path, rubbish: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "minutes.json").write_text(rubbish)
    await minutes.count(60)
    assert minutes.left_s == 540
    assert "cannot be read" in caplog.text


async def test_what_cannot_be_counted_is_an_error_and_counted_later(
    minutes: AvatarMinutes, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(LibaError, match="cannot count avatar minutes"):
        await minutes.count(60)
    (tmp_path / "state").unlink()
    await minutes.count(70)
    assert minutes.left_s == 530


COUNT = """
import asyncio, sys
from pathlib import Path
from libacli.edges.avatars.minutes import AvatarMinutes
async def main():
    minutes = AvatarMinutes(Path(sys.argv[1]), max_minutes=100)
    for second in range(1, 101):
        await minutes.count(second)
asyncio.run(main())
"""


def test_processes_that_count_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "minutes.json"
    counting = [subprocess.Popen([sys.executable, "-c", COUNT, str(file)]) for _ in range(3)]
    assert [process.wait(60) for process in counting] == [0, 0, 0]
    assert json.loads(file.read_text())["seconds"] == 300


def test_our_own_avatar_costs_nothing_and_a_service_that_only_answers_here_has_the_cap() -> None:
    key, own_key = SecretStr("key"), SecretStr("local-key")
    home = "http://127.0.0.1:8000"
    costly = Settings(tavus_api_key=key, tavus_face_id="face")
    proxied = Settings(tavus_api_key=key, tavus_face_id="face", tavus_base_url=home)
    elsewhere = Settings(tavus_api_key=own_key, tavus_face_id="face")
    own = Settings(tavus_api_key=own_key, tavus_face_id="face", tavus_base_url=home)
    for counted in (costly, proxied, elsewhere):
        assert [cap.limit for cap in avatar_minutes(counted, room="demo").usage()] == [240]
    for free in (own, Settings()):
        assert avatar_minutes(free, room="demo").usage() == []


async def test_a_file_that_knows_no_rooms_goes_on_counting(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "minutes.json"
    file.write_text('{"day": "2026-03-01", "seconds": 60}')
    minutes = AvatarMinutes(file, max_minutes=10, max_minutes_per_room=2, room="demo", clock=clock)
    await minutes.count(30)
    assert minutes.left_s == 90
    assert json.loads(file.read_text())["seconds"] == 90


async def test_where_nothing_was_said_is_known_for_an_hour_by_every_process(
    tmp_path: Path, clock: Clock
) -> None:
    file = tmp_path / "minutes.json"
    demo, other = (AvatarMinutes(file, max_minutes=10, room=room, clock=clock) for room in ("demo", "other"))
    await demo.count(1, was_silent=True)
    await other.count(1, was_silent=False)
    again = AvatarMinutes(file, max_minutes=10, room="demo", clock=clock)
    await again.count(0)
    assert (again.was_silent(), other.was_silent()) == (True, False)
    clock.now += timedelta(minutes=61)
    assert not again.was_silent()
    await again.count(0, was_silent=True)
    await again.count(0, was_silent=False)
    assert not again.was_silent()


@pytest.mark.parametrize("at", ["2026-03-01T11:59:00", "2026-03-01T11:59:00+00:00"])
async def test_a_moment_that_somebody_wrote_without_its_zone_can_be_read(
    tmp_path: Path, clock: Clock, at: str
) -> None:
    file = tmp_path / "minutes.json"
    file.write_text(json.dumps({"day": "2026-03-01", "seconds": 60, "rooms": {}, "silent": {"demo": at}}))
    minutes = AvatarMinutes(file, max_minutes=10, room="demo", clock=clock)
    await minutes.count(30)
    assert minutes.left_s == 510
