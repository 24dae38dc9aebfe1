from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from libacli.config import Settings
from libacli.core.hour import Hour
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.shared_ledger import SharedLedger
from libacli.edges.livekit.hour_file import HourFile
from libacli.edges.redis.connection import make_redis
from libacli.errors import ConfigError
from libacli.shared_counts import SharedCounts, machine_name
from tests.redis_server import RedisServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # real sockets


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "liba"


KEY = SecretStr("tavus-secret-key")
NAME_IT = "from libacli.shared_counts import machine_name; print(machine_name())"


def names_of_processes(count: int) -> list[str]:
    """What each of them calls its machine, when all begin at once."""
    naming = [
        subprocess.Popen([sys.executable, "-c", NAME_IT], stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    return [process.communicate(timeout=60)[0].strip() for process in naming]


def test_a_machine_has_one_name_for_all_its_processes_and_another_state_folder_another_one(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set(names_of_processes(3))
    assert names == {machine_name()}
    assert [path.name for path in state.iterdir()] == ["machine"]
    assert stat.S_IMODE((state / "machine").stat().st_mode) == 0o600
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    assert machine_name() not in names


def test_where_nothing_can_be_written_each_process_is_a_machine_of_its_own(state: Path) -> None:
    state.write_text("")  # a file where the folder should be
    first, second = names_of_processes(2)
    assert first != second


async def test_without_a_redis_there_is_but_this_machine(tmp_path: Path) -> None:
    shared = SharedCounts(Settings(tavus_api_key=KEY))
    hour = Hour(100)
    assert shared.hour(hour, HourFile(tmp_path / "c.json", hour, api_key="k", agent="a"), agent="a") is None
    assert isinstance(shared.ledger(), Ledger)
    await shared.aclose()


async def test_conversations_with_a_local_avatar_are_nobody_elses_business() -> None:
    redis = SecretStr("redis://127.0.0.1:1/0")
    local = Settings(
        redis_url=redis, tavus_api_key=SecretStr("local-1"), tavus_base_url="http://127.0.0.1:8000"
    )
    assert isinstance(SharedCounts(local).ledger(), Ledger)
    assert isinstance(SharedCounts(Settings(redis_url=redis)).ledger(), Ledger)


def test_an_address_that_is_none_is_told_before_anything_begins() -> None:
    with pytest.raises(ConfigError, match=r"redis\.url"):
        SharedCounts(Settings(redis_url=SecretStr("nonsense")))


async def test_accounts_are_apart_and_no_key_of_one_stands_in_redis(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        redis = SecretStr(server.url)
        accounts = [
            Settings(redis_url=redis, redis_prefix="ours", tavus_api_key=key, livekit_api_key="API-key")
            for key in (KEY, SecretStr("another"))
        ]
        ledgers: list[SharedLedger] = []
        for settings in accounts:
            shared, hour = SharedCounts(settings), Hour(100)
            ledger = shared.ledger()
            assert isinstance(ledger, SharedLedger)
            entry = Entry(f"liba-{len(ledgers)}", "demo", "http://127.0.0.1:1", ledger.owner, asked_at=1.0)
            assert await asyncio.to_thread(ledger.enter, entry)
            minutes = shared.minutes(room="demo")
            await minutes.count(60)
            hour.spend("ann", 10, 1_800_000_000.0)
            keeper = shared.hour(
                hour, HourFile(tmp_path / "c.json", hour, api_key="k", agent="a"), agent=f"a{len(ledgers)}"
            )
            assert keeper
            hour.promise("ann", 5)
            await keeper.load()
            await keeper.aclose()
            ledgers.append(ledger)
            await shared.aclose()
        client = make_redis(server.url)
        keys = b" ".join([key async for key in client.scan_iter("*")]).decode()
        held = [await client.hlen(key) async for key in client.scan_iter("*:conversations")]
        await client.aclose()
        assert held == [1, 1]
        assert all(key.startswith("ours:{") for key in keys.split())
        assert "API-key" not in keys
        assert KEY.get_secret_value() not in keys
        for ledger in ledgers:
            await asyncio.to_thread(ledger.close)
