from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.leader import is_leader, pulse
from libacli.edges.livekit.tokens import verify_request
from libacli.errors import UnreachableError
from tests.twirp_server import (
    AGENT_GONE,
    NO_RESPONSE,
    OLD_SERVER,
    UNKNOWN_METHOD,
    Answer,
    TwirpServer,
    agent,
    reply,
    twirp_error,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server() -> Iterator[TwirpServer]:
    with TwirpServer() as server:
        yield server


@pytest.fixture
async def api(server: TwirpServer) -> AsyncGenerator[LiveKitApi]:
    async with LiveKitApi(server.credentials) as api:
        yield api


def starting(identity: str, *, joined_at: int, name: str = "liba") -> dict[str, Any]:
    """A row of ListParticipants: an agent that was sent for, and takes no requests yet."""
    row = agent(identity) | {"joined_at_ms": str(joined_at)}
    return row | {"attributes": {"lk.agent.name": name}}


async def leads(server: TwirpServer, api: LiveKitApi, identity: str) -> bool:
    return await is_leader(api, server.credentials, room="demo", agent_name="liba", identity=identity)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(epoch="e", id="heartbeat", state="unknown"), "ready"),
        (UNKNOWN_METHOD, "starting"),
        (AGENT_GONE, "silent"),
        (NO_RESPONSE, "silent"),
        (OLD_SERVER, "ready"),
    ],
)
async def test_a_sign_of_life_is_asked_for_signed(
    server: TwirpServer, api: LiveKitApi, answer: Answer, expected: str
) -> None:
    server.play("PerformRpc", answer)
    assert await pulse(api, server.credentials, "demo", "liba-agent-1") == expected
    body = server.asked("PerformRpc")[0].rpc
    verify_request(server.credentials, body.pop("auth"), room="demo", method="liba.status", body=body)


async def test_a_server_that_cannot_be_asked_is_no_dead_agent(server: TwirpServer, api: LiveKitApi) -> None:
    server.play("PerformRpc", twirp_error(502, "internal", "down"))
    with pytest.raises(UnreachableError):
        await pulse(api, server.credentials, "demo", "liba-agent-1")


async def test_who_is_alone_leads(server: TwirpServer, api: LiveKitApi) -> None:
    server.participants = [starting("a", joined_at=5), starting("other", joined_at=1, name="other")]
    assert await leads(server, api, "a")
    assert server.asked("PerformRpc") == []


@pytest.mark.parametrize("moments", [(1, 2), (2, 1), (1, 1)])
async def test_fault_55_of_two_that_come_at_once_just_one_leads_and_both_know_which(
    server: TwirpServer, api: LiveKitApi, moments: tuple[int, int]
) -> None:
    server.participants = [starting("a", joined_at=moments[0]), starting("b", joined_at=moments[1])]
    server.play("PerformRpc", UNKNOWN_METHOD)  # the first one is asked, by the second alone
    first = min(zip(moments, "ab", strict=True))[1]
    assert [identity for identity in "ab" if await leads(server, api, identity)] == [first]
    assert [asked.body["destination_identity"] for asked in server.asked("PerformRpc")] == [first]
    assert server.asked("RemoveParticipant") == []


async def test_one_that_is_dead_is_put_out_and_its_place_taken(server: TwirpServer, api: LiveKitApi) -> None:
    server.participants = [starting("new", joined_at=9), starting("dead", joined_at=1)]
    server.play("PerformRpc", NO_RESPONSE, NO_RESPONSE)
    assert await leads(server, api, "new")
    assert [asked.body["identity"] for asked in server.asked("RemoveParticipant")] == ["dead"]


async def test_one_that_misses_a_call_keeps_its_place(server: TwirpServer, api: LiveKitApi) -> None:
    server.participants = [starting("new", joined_at=9), starting("old", joined_at=1)]
    server.play("PerformRpc", NO_RESPONSE, reply(epoch="e"))
    assert not await leads(server, api, "new")
    assert server.asked("RemoveParticipant") == []


async def test_who_is_not_listed_yet_is_the_youngest(server: TwirpServer, api: LiveKitApi) -> None:
    server.participants = [starting("old", joined_at=1)]
    server.play("PerformRpc", UNKNOWN_METHOD)
    assert not await leads(server, api, "new")


async def test_where_nobody_can_be_asked_it_is_better_to_speak(server: TwirpServer, api: LiveKitApi) -> None:
    server.play("ListParticipants", twirp_error(500, "internal", "down"))
    assert await leads(server, api, "a")
