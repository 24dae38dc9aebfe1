from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from libacli.config import Settings
from libacli.edges.journal.choose import check_journal, make_journal, make_seal, rooms_that_wait
from libacli.edges.journal.file import FileJournal
from libacli.edges.redis.journal import RedisJournal
from libacli.errors import ConfigError


def settings(**given: object) -> Settings:
    return Settings(livekit_api_key="key", livekit_api_secret=SecretStr("secret"), **given)  # type: ignore[arg-type]


def test_without_a_key_of_its_own_livekits_secret_is_one_and_the_one_before_it_opens() -> None:
    sealed = make_seal(settings()).close(b"text", b"")
    changed = Settings(
        livekit_api_secret=SecretStr("new"),
        livekit_previous_api_key="key",
        livekit_previous_api_secret=SecretStr("secret"),
    )
    assert make_seal(changed).open(sealed, b"") == b"text"
    with pytest.raises(ValueError, match="no key"):
        make_seal(settings(say_journal_key=SecretStr("own"))).open(sealed, b"")


def test_of_several_keys_the_first_one_seals_and_all_open() -> None:
    both = make_seal(settings(say_journal_key=SecretStr("new, old")))
    old, new = (make_seal(settings(say_journal_key=SecretStr(key))) for key in ("old", "new"))
    assert both.open(old.close(b"text", b""), b"") == b"text"
    assert new.open(both.close(b"text", b""), b"") == b"text"


def test_where_it_is_written_is_a_setting() -> None:
    def made(**given: object) -> object:
        return make_journal(settings(**given), "demo", epoch="e", clock=lambda: 0.0)

    assert made() is None
    assert isinstance(made(say_journal="file"), FileJournal)
    assert isinstance(made(say_journal="redis", redis_url=SecretStr("redis://127.0.0.1:1")), RedisJournal)


def test_a_redis_that_nobody_has_named_is_told() -> None:
    with pytest.raises(ConfigError, match=r"redis\.url is not set"):
        check_journal(settings(say_journal="redis"))


@pytest.mark.parametrize("kind", ["file", "redis"])
def test_what_is_not_installed_is_told_with_the_command_that_installs_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(ConfigError) as raised:
        check_journal(settings(say_journal=kind))
    assert raised.value.hint == "pip install 'libacli[journal]'"
    check_journal(settings())


# Who tells of rooms that wait


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # threads and sockets


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"say_journal": "file"},
        {"say_journal": "redis", "redis_url": SecretStr("redis://127.0.0.1:1")},
    ],
    ids=["off", "file", "a Redis that is not there"],
)
async def test_where_nobody_can_tell_no_room_waits(
    given: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with rooms_that_wait(settings(**given), clock=lambda: 0.0) as waiting:
        assert await waiting() == []
