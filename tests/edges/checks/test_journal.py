"""Whether the doctor sees that a queue can be written down, where it is to be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from libacli.config import Settings
from libacli.edges.checks import journal as check
from libacli.edges.journal.file import journal_folder
from libacli.edges.redis.connection import make_redis
from libacli.errors import ConfigError
from tests.redis_server import RedisServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets and files


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


def given(journal: Any, **more: Any) -> Settings:
    secret = SecretStr("s3cret-of-livekit-s3cret-of-livekit")
    return Settings(livekit_api_key="key", livekit_api_secret=secret, say_journal=journal, **more)


async def test_one_that_is_off_is_told_as_that() -> None:
    finding = await check.journal(given("off"))
    assert (finding.verdict, finding.message) == ("ok", "off: what waits is lost with its agent")


async def test_one_in_files_is_written_and_read_and_leaves_nothing() -> None:
    finding = await check.journal(given("file"))
    assert finding.verdict == "ok"
    assert "written, read and removed; encrypted with LiveKit's API secret" in finding.message
    assert list(journal_folder().iterdir()) == []


async def test_one_in_redis_is_written_and_read_and_leaves_nothing(server: RedisServer) -> None:
    key = SecretStr("another-s3cret")
    finding = await check.journal(given("redis", redis_url=SecretStr(server.url), say_journal_key=key))
    assert finding.verdict == "ok"
    assert "in Redis: written, read and removed; encrypted with say.journal_key" in finding.message
    redis = make_redis(server.url)
    assert await redis.keys("*") == []
    await redis.aclose()


async def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "liba").write_text("it is a file")
    finding = await check.journal(given("file"))
    assert (finding.verdict, finding.exit_code) == ("fail", 3)
    assert os.strerror(20) in finding.message or os.strerror(17) in finding.message
    assert "state folder" in finding.fix


async def test_a_redis_that_is_gone_fails_and_its_password_is_not_told(server: RedisServer) -> None:
    server.kill()
    url = SecretStr(f"redis://ann:s3cret@127.0.0.1:{server.port}/0")
    finding = await check.journal(given("redis", redis_url=url))
    assert (finding.verdict, finding.exit_code) == ("fail", 3)
    assert "Connection refused" in finding.message
    assert "until then what waits is lost" in finding.fix
    assert "s3cret" not in finding.message + finding.fix


async def test_a_journal_in_a_redis_that_is_not_named_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"redis\.url is not set"):
        await check.journal(given("redis"))
