from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace

import jwt
import pytest
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.agent_status import AgentStatus
from libacli.core.event import AgentFacts
from libacli.core.messages import SayRequest
from libacli.edges.livekit.gateway import RoomGateway
from libacli.errors import (
    CredentialsError,
    InterruptedSpeechError,
    NoAgentError,
    RefusedError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from tests.twirp_server import (
    AGENT_GONE,
    API_SECRET,
    EPOCH,
    UNKNOWN_KEY,
    Answer,
    TwirpServer,
    agent,
    people,
    reply,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server() -> Iterator[TwirpServer]:
    with TwirpServer() as server:
        yield server


@pytest.fixture
async def gateway(server: TwirpServer) -> AsyncGenerator[RoomGateway]:
    async with RoomGateway(server.credentials, agent_name="liba") as gateway:
        yield gateway


def line(number: int = 1) -> SayRequest:
    return SayRequest("Hello.", id=f"u{number}")


def addressees(server: TwirpServer) -> list[str]:
    return [asked.body["destination_identity"] for asked in server.asked("PerformRpc")]


async def asked(server: TwirpServer, method: str, times: int) -> None:
    """Waits until the server was asked so often."""
    while len(server.asked(method)) < times:  # noqa: ASYNC110 - it runs in another thread
        await asyncio.sleep(0.01)


async def say_all(gateway: RoomGateway, count: int, *, timeout_s: float) -> list[str]:
    """Says so many lines at once; the level of each, or the name of its error."""

    async def say(number: int) -> None:
        try:
            levels.append((await gateway.say("demo", line(number), timeout_s=timeout_s)).level)
        except (NoAgentError, TimedOutError) as error:
            levels.append(type(error).__name__)

    levels: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(say(number))
    return levels


async def test_an_agent_that_has_answered_is_asked_without_looking_for_it(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    said = await gateway.say("demo", line(1), timeout_s=5)
    await gateway.say("demo", line(2), timeout_s=5)
    await gateway.wait("demo", said, "done", timeout_s=5)
    await gateway.report("demo", "u1")
    assert len(server.asked("ListParticipants")) == 1
    assert server.queued == ["u1", "u2"]


async def test_each_room_has_its_own_agent(server: TwirpServer, gateway: RoomGateway) -> None:
    await gateway.say("demo", line(1), timeout_s=5)
    server.participants = [agent("liba-agent-2")]
    await gateway.say("hall", line(2), timeout_s=5)
    assert addressees(server) == ["liba-agent-1", "liba-agent-2"]


async def test_an_agent_that_was_replaced_is_looked_for_and_remembered(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    await gateway.say("demo", line(1), timeout_s=5)
    server.participants = [agent("liba-agent-2")]
    server.play("PerformRpc", AGENT_GONE)
    await gateway.say("demo", line(2), timeout_s=5)
    await gateway.say("demo", line(3), timeout_s=5)
    assert addressees(server) == ["liba-agent-1", "liba-agent-1", "liba-agent-2", "liba-agent-2"]
    assert server.asked("CreateDispatch") == []


async def test_many_at_once_have_one_agent_sent(server: TwirpServer, gateway: RoomGateway) -> None:
    server.play("ListParticipants", people(), people(), people(agent(state="JOINING")))
    assert await say_all(gateway, 8, timeout_s=5) == ["accepted"] * 8
    assert len(server.asked("CreateDispatch")) == 1
    assert sorted(server.queued) == [f"u{number}" for number in range(8)]


async def test_where_nobody_comes_all_are_told_in_time_and_one_was_sent_for(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    server.participants = []
    async with asyncio.timeout(2):
        assert await say_all(gateway, 8, timeout_s=0.5) == ["NoAgentError"] * 8
    assert len(server.asked("CreateDispatch")) == len(server.asked("DeleteDispatch")) == 1


async def test_after_a_failure_the_next_one_tries_anew(server: TwirpServer, gateway: RoomGateway) -> None:
    server.participants = []
    with pytest.raises(NoAgentError, match="came into room 'demo'"):
        await gateway.say("demo", line(), timeout_s=0.3)
    server.participants = [agent()]
    assert (await gateway.say("demo", line(), timeout_s=5)).level == "accepted"


async def test_one_who_does_not_wait_any_longer_takes_nothing_from_the_others(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    server.participants = []
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(gateway.say("demo", line(1), timeout_s=5))
        await asked(server, "CreateDispatch", 1)
        second = tasks.create_task(gateway.say("demo", line(2), timeout_s=5))
        await asyncio.sleep(0.05)
        first.cancel()
        await asked(server, "CreateDispatch", 2)
        server.participants = [agent()]
    assert len(server.asked("DeleteDispatch")) == 1
    assert second.result().level == "accepted"


async def test_a_call_that_has_lost_the_agent_does_not_disturb_another(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    said = await gateway.say("demo", line(), timeout_s=5)
    server.play("PerformRpc", AGENT_GONE)
    server.play("ListParticipants", Answer({"participants": [agent()]}, delay_s=0.5))
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(gateway.wait("demo", said, "done", timeout_s=5))
        await asked(server, "ListParticipants", 2)
        assert (await gateway.report("demo", "u1"))["state"] == "done"
        assert not waiting.done()
    assert waiting.result().level == "done"
    assert set(addressees(server)) == {"liba-agent-1"}


async def test_an_agent_that_answers_too_late_is_told_as_such(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    server.play("PerformRpc", Answer(delay_s=2))
    with pytest.raises(TimedOutError, match=r"did not answer within 0\.1 s") as caught:
        await gateway.say("demo", line(), timeout_s=0.1)
    assert caught.value.utterance_id == "u1"
    assert "with the same id, u1" in caught.value.hint


async def test_who_waits_learns_that_the_agent_was_started_anew(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    said = await gateway.say("demo", line(), timeout_s=5)
    server.play("PerformRpc", reply(epoch="another", id="u1", state="unknown"))
    with pytest.raises(InterruptedSpeechError, match="started anew"):
        await gateway.wait("demo", said, "done", timeout_s=5)


async def test_a_refusal_keeps_its_reason(server: TwirpServer, gateway: RoomGateway) -> None:
    server.play("PerformRpc", reply(rejected="queue_full", message="32 wait"))
    with pytest.raises(RefusedError) as caught:
        await gateway.say("demo", line(), timeout_s=5)
    assert caught.value.reason == "queue_full"


async def test_what_is_said_for_somebody_is_signed_as_that(server: TwirpServer, gateway: RoomGateway) -> None:
    await gateway.say("demo", line(1), timeout_s=5, on_behalf="session 3f9a")
    await gateway.say("demo", line(2), timeout_s=5)
    signed = [json.loads(asked.body["payload"])["auth"] for asked in server.asked("PerformRpc")]
    claims = [jwt.decode(auth, API_SECRET, algorithms=["HS256"], audience="liba") for auth in signed]
    assert [claim.get("on_behalf") for claim in claims] == ["session 3f9a", None]


async def test_the_agent_is_asked_for_its_status(server: TwirpServer, gateway: RoomGateway) -> None:
    server.play("PerformRpc", reply(epoch=EPOCH, agent="liba", speaking=None, waiting=[]))
    assert await gateway.status("demo") == AgentStatus(AgentFacts(epoch=EPOCH, agent="liba"))


async def test_what_was_spoken_is_stopped(server: TwirpServer, gateway: RoomGateway) -> None:
    await gateway.say("demo", line(), timeout_s=5)
    assert await gateway.stop("demo") == ["u1"]


async def test_without_an_agent_nothing_can_be_asked_and_none_is_sent_for(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    await gateway.say("demo", line(), timeout_s=5)
    server.participants = []
    server.play("PerformRpc", AGENT_GONE)
    assert await gateway.status("demo") is None
    with pytest.raises(NoAgentError, match="no agent named 'liba'"):
        await gateway.stop("demo")
    with pytest.raises(NoAgentError) as caught:
        await gateway.report("demo", "u1")
    assert caught.value.hint == "`liba say` brings one there, if `liba agent run` is running"
    assert server.asked("CreateDispatch") == []


async def test_so_many_rooms_are_remembered_and_no_more(server: TwirpServer) -> None:
    async with RoomGateway(server.credentials, agent_name="liba", rooms_kept=2) as gateway:
        for room in ("first", "second", "first", "third", "first", "second"):
            server.play("PerformRpc", reply(epoch=EPOCH))
            await gateway.status(room)
    looked_for = [asked.body["room"] for asked in server.asked("ListParticipants")]
    assert looked_for == ["first", "second", "third", "second"]


async def test_who_may_watch_an_encrypted_room_gets_its_key_with_the_token(server: TwirpServer) -> None:
    credentials = replace(server.credentials, e2ee_key=SecretStr("a key & more"))
    async with RoomGateway(credentials, agent_name="liba") as gateway:
        join = gateway.join("demo", "viewer-1", name="", valid_for_s=60, can_say=False)
    assert join.e2ee_key == "a key & more"
    assert "key" not in repr(join)
    # LiveKit Meet takes a key from behind the `#`: https://github.com/livekit-examples/meet
    assert join.meet_url.partition("#")[2] == "a%20key%20%26%20more"


@pytest.mark.parametrize("can_say", [False, True])
async def test_a_token_lets_join_one_room_and_watch(gateway: RoomGateway, can_say: bool) -> None:
    join = gateway.join("demo", "viewer-1", name="Viewer", valid_for_s=60, can_say=can_say)
    claims = jwt.decode(join.token, API_SECRET, algorithms=["HS256"])
    assert claims["video"] == {
        "roomJoin": True,
        "room": "demo",
        "canSubscribe": True,
        "canPublish": False,
        "canPublishData": can_say,
        "canUpdateOwnMetadata": False,
    }
    assert (claims["sub"], claims["name"]) == ("viewer-1", "Viewer")
    assert claims["exp"] - claims["nbf"] == 60
    assert join.token not in repr(join)


async def test_inside_outside_url_browsers_are_given_the_address_that_they_reach(server: TwirpServer) -> None:
    credentials = replace(server.credentials, public_url="https://lk.example.org")
    async with RoomGateway(credentials, agent_name="liba") as gateway:
        assert gateway.join("demo", "v", name="", valid_for_s=60, can_say=False).url == "wss://lk.example.org"
        await gateway.check()
    assert len(server.asked("ListParticipants")) == 1


async def test_an_identity_of_libas_own_is_not_given_away(gateway: RoomGateway) -> None:
    with pytest.raises(RefusedError) as caught:
        gateway.join("demo", "agent-1", name="", valid_for_s=60, can_say=False)
    assert caught.value.reason == "reserved_identity"


async def test_who_is_to_be_put_out_is_removed_if_he_is_there_and_nobody_else(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    server.participants = [agent(), {"identity": "viewer-1"}, {"identity": "viewer-2"}]
    await gateway.put_out("demo", ["viewer-2", "viewer-3"])
    assert [asked.body for asked in server.asked("RemoveParticipant")] == [
        {"room": "demo", "identity": "viewer-2"}
    ]


async def test_a_name_that_is_none_is_refused_before_anybody_is_asked(
    server: TwirpServer, gateway: RoomGateway
) -> None:
    for call in (
        gateway.say(" ", line(), timeout_s=1),
        gateway.report("", "u1"),
        gateway.stop("x" * 129),
        gateway.status("a\nb"),
    ):
        with pytest.raises(UsageError):
            await call
    with pytest.raises(UsageError):
        gateway.updates("")
    assert server.requests == []


async def test_the_check_tells_what_is_wrong_with_livekit(server: TwirpServer, gateway: RoomGateway) -> None:
    await gateway.check()
    server.play("ListParticipants", UNKNOWN_KEY)
    with pytest.raises(CredentialsError):
        await gateway.check()
    nowhere = LiveKitCredentials("ws://127.0.0.1:1", "key", SecretStr(API_SECRET))
    async with RoomGateway(nowhere, agent_name="liba") as other:
        with pytest.raises(UnreachableError):
            await other.check()
