from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from libacli.edges.avatars.conversation_names import ConversationName, project_of
from libacli.edges.avatars.fakes import FakeAvatarService
from libacli.edges.avatars.ledger import Entry, Ledger
from libacli.edges.avatars.reaping import LivingAgents, Reaped, end_strays, nobody
from libacli.edges.livekit.api import LiveKitApi
from libacli.errors import AvatarError, LeftRunningError, UnreachableError
from tests.avatar_contracts import invitation
from tests.twirp_server import API_KEY, Answer, TwirpServer, people, twirp_error

NAME = ConversationName(project_of(API_KEY), "test1234", "0123abcd", 1, "demo")
AGENT = {"identity": "liba-agent-test1234", "state": "ACTIVE", "kind": "AGENT"}


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "conversations")
    yield ledger
    await asyncio.to_thread(ledger.close)


async def running(*names: str) -> FakeAvatarService:
    service = FakeAvatarService()
    for name in names:
        await service.create(invitation(name))
    return service


async def test_f13_what_liba_has_begun_is_found_by_its_name_without_the_ledger(ledger: Ledger) -> None:
    service = await running(str(NAME), "liba-0123abcd-7", "A Meeting with Hassaan")
    assert await end_strays(service, ledger, nobody) == Reaped(ended=2, spared=0)
    assert list(service.running) == ["c3"]


async def test_f13_what_an_agent_needs_that_answers_is_left_to_it(ledger: Ledger) -> None:
    service = await running(str(NAME), str(replace(NAME, number=2)))

    async def needs_the_second(name: ConversationName) -> bool:
        return name.number == 2

    assert await end_strays(service, ledger, needs_the_second) == Reaped(ended=1, spared=1)
    assert list(service.running) == ["c2"]


async def test_f13_what_an_agent_of_this_machine_holds_is_left_to_it(ledger: Ledger) -> None:
    service = await running(str(NAME))
    entry = Entry(str(NAME), "demo", service.base_url, ledger.owner, "c1", vendor="fake")
    await asyncio.to_thread(ledger.write, entry)
    assert await end_strays(service, ledger, nobody) == Reaped(ended=0, spared=1)


async def test_f13_one_that_does_not_end_is_told_after_the_others_have_ended(ledger: Ledger) -> None:
    service = await running("liba-1", "liba-2")
    error = AvatarError("500", status=500, is_permanent=False)
    service.fail_ends(error, error)  # it is asked twice
    with pytest.raises(LeftRunningError) as caught:
        await end_strays(service, ledger, nobody)
    assert (service.ends, caught.value.ended, caught.value.left) == (["c2"], 1, 1)


class TestLivingAgents:
    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    async def needs(self, server: TwirpServer, name: ConversationName = NAME) -> bool:
        async with LiveKitApi(server.credentials) as api:
            return await LivingAgents(api, server.credentials).need(name)

    async def test_one_that_answers_needs_its_conversation(self) -> None:
        with TwirpServer() as server:
            server.play("ListRooms", Answer({"rooms": [{"name": "other"}, {"name": "demo"}]}))
            server.participants = [AGENT]
            assert await self.needs(server)
            assert [asked.body["room"] for asked in server.asked("ListParticipants")] == ["demo"]

    async def test_one_that_was_killed_and_is_still_listed_does_not(self) -> None:
        with TwirpServer() as server:
            server.play("ListRooms", Answer({"rooms": [{"name": "demo"}]}))
            server.participants = [AGENT]
            server.play("PerformRpc", twirp_error(503, "unavailable", "no response from servers"))
            assert not await self.needs(server)

    @pytest.mark.parametrize("rooms", [[], [{"name": "demo"}]])
    async def test_one_that_is_not_there_does_not(self, rooms: list[dict[str, str]]) -> None:
        with TwirpServer() as server:
            server.play("ListRooms", Answer({"rooms": rooms}))
            server.play("ListParticipants", people({**AGENT, "identity": "liba-agent-another1"}))
            assert not await self.needs(server)

    async def test_one_of_another_project_may(self) -> None:
        with TwirpServer() as server:
            assert await self.needs(server, replace(NAME, project="ffffff"))
            assert server.requests == []

    async def test_where_nobody_can_be_asked_nothing_is_decided(self) -> None:
        with TwirpServer() as server:
            server.play("ListRooms", twirp_error(503, "unavailable", "away"))
            with pytest.raises(UnreachableError):
                await self.needs(server)
