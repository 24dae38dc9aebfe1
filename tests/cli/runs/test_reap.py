"""`liba reap --all` and `liba avatar create-pal`, against an avatar service over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from libacli.config import Settings
from libacli.edges.avatars.conversation_names import ConversationName, project_of, short_name
from libacli.edges.avatars.ledger import Entry, Ledger, conversations_path
from libacli.edges.avatars.tavus import Tavus
from libacli.edges.livekit.signing import wall_clock
from libacli.local.avatar_manners import Manners
from libacli.shared_counts import SharedCounts
from tests.avatar_contracts import invitation
from tests.cli.conftest import Ended, Shell
from tests.faulty_avatar import End, FaultyAvatar, Script
from tests.redis_server import RedisServer
from tests.twirp_server import API_KEY, Answer, TwirpServer, twirp_error

OURS = str(ConversationName(project_of(API_KEY), "agent1", "0123abcd", 1, "demo"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def tavus() -> AsyncIterator[FaultyAvatar]:
    async with FaultyAvatar(Script(joins=False), manners=Manners(takes_any_pal=False)) as tavus:
        yield tavus


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


async def run(shell: Shell, tavus: FaultyAvatar, *arguments: str, **env: str) -> Ended:
    keys = {"TAVUS_API_KEY": tavus.api_key.get_secret_value(), "TAVUS_BASE_URL": tavus.base_url} | env
    return await asyncio.to_thread(shell.run, *arguments, env=keys)


async def begin(tavus: FaultyAvatar, *names: str) -> None:
    async with Tavus(tavus.api_key, tavus.base_url) as service:
        for name in names:
            await service.create(invitation(name))


async def test_f13_conversations_of_a_machine_that_is_gone_are_ended_and_no_others(
    shell: Shell, tavus: FaultyAvatar
) -> None:
    await begin(tavus, OURS, "liba-of-old", "somebody else's")
    ended = await run(shell, tavus, "reap", "--all", "--json")
    assert (ended.code, ended.json) == (0, {"ended": 2, "spared": 0})
    assert len(tavus.active) == 1


async def test_f13_without_all_nothing_is_ended_that_this_machine_did_not_begin(
    shell: Shell, tavus: FaultyAvatar
) -> None:
    await begin(tavus, OURS)
    assert (await run(shell, tavus, "reap", "--json")).json == {"ended": 0}
    assert len(tavus.active) == 1


async def test_f13_what_an_agent_needs_that_answers_is_ended_by_force_alone(
    shell: Shell, server: TwirpServer, tavus: FaultyAvatar
) -> None:
    await begin(tavus, OURS)
    server.play("ListRooms", Answer({"rooms": [{"name": "demo"}]}))
    server.participants = [{"identity": "liba-agent-1", "state": "ACTIVE", "kind": "AGENT"}]
    agent = short_name("liba-agent-1")
    await begin(tavus, str(ConversationName(project_of(API_KEY), agent, "0123abcd", 2, "demo")))
    ended = await run(shell, tavus, "reap", "--all")
    assert ended.stdout == "ended 1 conversation\n"
    assert "1 is left to agents that answer, or may" in ended.stderr
    assert (await run(shell, tavus, "reap", "--all", "--force", "--json")).json == {"ended": 1, "spared": 0}


async def test_f13_where_livekit_cannot_be_asked_nothing_is_ended_without_force(
    shell: Shell, server: TwirpServer, tavus: FaultyAvatar
) -> None:
    await begin(tavus, OURS)
    server.play("ListRooms", twirp_error(503, "unavailable", "away"))
    ended = await run(shell, tavus, "reap", "--all")
    assert ended.code == 4
    assert "--force" in ended.stderr
    assert len(tavus.active) == 1


async def test_f13_where_no_livekit_is_configured_all_are_ended(
    bare_shell: Shell, tavus: FaultyAvatar
) -> None:
    await begin(tavus, OURS)
    assert (await run(bare_shell, tavus, "reap", "--all", "--json")).json == {"ended": 1, "spared": 0}


@pytest.mark.parametrize("options", [(), ("--all", "--force")])
@pytest.mark.parametrize("end", [500, 404])
async def test_what_does_not_end_is_told_in_one_line_and_is_no_success(
    shell: Shell, tavus: FaultyAvatar, options: tuple[str, ...], end: End
) -> None:
    names = [f"liba-1-{number}" for number in range(3)]
    await begin(tavus, *names)
    ledger = Ledger(Path(shell.env["XDG_STATE_HOME"]) / "liba" / "conversations")
    for name, running in zip(names, tavus.active, strict=True):
        await asyncio.to_thread(ledger.write, Entry(name, "demo", tavus.base_url, "gone", running))
    await asyncio.to_thread(ledger.close)
    tavus.end = end
    ended = await run(shell, tavus, "reap", "--json", *options)
    assert (ended.code, ended.json) == (1, {"ended": 0, "left": 3})
    (line,) = ended.stderr.splitlines()
    assert f"3 conversations were not ended, and may cost money: the avatar service answered: {end}" in line
    tavus.end = "ok"
    assert (await run(shell, tavus, "reap")).stdout == "ended 3 conversations\n"
    assert tavus.active == []


async def left_elsewhere(
    tavus: FaultyAvatar, redis: RedisServer, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A conversation that another machine has begun, which shows no life any more."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "elsewhere"))
    shared = SharedCounts(
        Settings(tavus_api_key=tavus.api_key, tavus_base_url=tavus.base_url, redis_url=SecretStr(redis.url))
    )
    ledger = await asyncio.to_thread(shared.ledger)
    async with Tavus(tavus.api_key, tavus.base_url) as service:
        begun = await service.create(invitation(name))
    entry = Entry(name, "demo", tavus.base_url, ledger.owner, begun, asked_at=wall_clock())
    await asyncio.to_thread(ledger.enter, entry)
    await asyncio.to_thread(ledger.close)
    await shared.aclose()


async def test_what_another_machine_has_left_behind_is_ended_from_anywhere_and_once(
    shell: Shell,
    server: TwirpServer,
    tavus: FaultyAvatar,
    redis: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await left_elsewhere(tavus, redis, tmp_path, monkeypatch, OURS)
    assert (await run(shell, tavus, "reap", "--json")).json == {"ended": 0}, "without redis.url"
    for ended in (1, 0):
        assert (await run(shell, tavus, "reap", "--json", LIBA_REDIS_URL=redis.url)).json == {"ended": ended}
    assert (tavus.active, len(tavus.ends)) == ([], 1)


async def test_what_an_agent_of_another_machine_needs_that_answers_is_left_to_it(
    shell: Shell,
    server: TwirpServer,
    tavus: FaultyAvatar,
    redis: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.play("ListRooms", Answer({"rooms": [{"name": "demo"}]}))
    server.participants = [{"identity": "liba-agent-1", "state": "ACTIVE", "kind": "AGENT"}]
    name = str(ConversationName(project_of(API_KEY), short_name("liba-agent-1"), "0123abcd", 2, "demo"))
    await left_elsewhere(tavus, redis, tmp_path, monkeypatch, name)
    assert (await run(shell, tavus, "reap", "--json", LIBA_REDIS_URL=redis.url)).json == {"ended": 0}
    assert len(tavus.active) == 1


async def test_where_redis_is_gone_that_is_told(
    shell: Shell, server: TwirpServer, tavus: FaultyAvatar, redis: RedisServer
) -> None:
    redis.kill()
    ended = await run(shell, tavus, "reap", LIBA_REDIS_URL=redis.url)
    assert (ended.code, ended.stdout) == (1, "")
    assert "Connection refused - start it, or check redis.url" in ended.stderr


async def test_f12_the_pal_that_is_made_is_printed_as_a_setting_and_fits(
    bare_shell: Shell, tavus: FaultyAvatar
) -> None:
    made = await run(bare_shell, tavus, "avatar", "create-pal", "--name", "mine")
    name, _, pal_id = made.stdout.strip().partition("=")
    assert (made.code, name) == (0, "export TAVUS_PAL_ID")
    assert f'[tavus] pal_id = "{pal_id}"' in made.stderr
    async with Tavus(tavus.api_key, tavus.base_url, pal_id=pal_id) as service:
        assert await service.misfit() == ""


def test_f12_without_a_key_no_pal_is_made(bare_shell: Shell) -> None:
    ended = bare_shell.run("avatar", "create-pal")
    assert ended.code == 3
    assert "TAVUS_API_KEY is not set" in ended.stderr


async def test_what_a_local_avatar_has_left_behind_needs_no_key_and_is_gone_with_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shell.env.items():
        monkeypatch.setenv(name, value)
    crashed = Ledger(conversations_path())
    crashed.write(Entry("liba-a", "demo", "http://127.0.0.1:1", crashed.owner, "id-1", is_local=True))
    crashed.close()
    ended = await asyncio.to_thread(shell.run, "reap")
    assert (ended.code, ended.stdout) == (0, "ended 0 conversations\n")
    assert Ledger(conversations_path()).entries() == []


async def test_an_entry_that_cannot_be_read_is_told_by_its_path_and_is_no_success(shell: Shell) -> None:
    folder = Path(shell.env["XDG_STATE_HOME"]) / "liba" / "conversations"
    folder.mkdir(parents=True)
    (folder / "liba-1.json").write_text('{"name": "lib')
    ended = await asyncio.to_thread(shell.run, "reap")
    assert (ended.code, ended.stdout) == (3, "ended 0 conversations\n")
    (line,) = ended.stderr.splitlines()
    assert f"{folder / 'liba-1.json'} cannot be read" in line
    assert "liba reap --all" in line
