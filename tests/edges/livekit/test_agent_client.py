from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from libacli.core.acknowledgement import Acknowledgement
from libacli.core.delivery import Delivery
from libacli.core.event import Report
from libacli.core.messages import SayRequest, parse_request, read_say
from libacli.core.packing import MAX_CARRIED_BYTES
from libacli.core.protocol import (
    CANCEL_METHOD,
    MOVE_METHOD,
    NEXT_METHOD,
    PAUSE_METHOD,
    RESUME_METHOD,
    SAY_METHOD,
    STATUS_METHOD,
    STOP_METHOD,
)
from libacli.core.queue_requests import MoveRequest
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.tokens import verify_request
from libacli.errors import (
    InterruptedSpeechError,
    LibaError,
    NoAgentError,
    RefusedError,
    TimedOutError,
    UnreachableError,
)
from tests.twirp_server import (
    AGENT_GONE,
    EPOCH,
    NO_RESPONSE,
    OLD_SERVER,
    UNKNOWN_METHOD,
    Answer,
    Asked,
    TwirpPeer,
    agent,
    people,
    reply,
    rpc_error,
    twirp_error,
)

pytestmark = pytest.mark.anyio

HELLO = SayRequest("Hello.", id="u1", speed=1.5)
ACCEPTED = Delivery.accepted(Acknowledgement("u1", 0, epoch=EPOCH))
JOURNALED = Delivery.accepted(Acknowledgement("u1", 0, epoch=EPOCH, journaled=True))


@pytest.fixture
def server() -> TwirpPeer:
    return TwirpPeer()


@pytest.fixture
async def client(server: TwirpPeer) -> AsyncGenerator[AgentClient]:
    async with LiveKitApi(server.credentials, transport=server) as api:
        yield AgentClient(api, AgentLocator(api, room="demo", agent_name="liba"), patience_s=0.5)


@pytest.fixture
async def found(client: AgentClient) -> AgentClient:
    """A client that has found the agent."""
    assert await client.find()
    return client


def calls(server: TwirpPeer, method: str) -> list[Asked]:
    return [asked for asked in server.asked("PerformRpc") if asked.body["method"] == method]


def report(state: str, *, epoch: str = EPOCH, **members: Any) -> Answer:
    return reply(**{"epoch": epoch, "id": "u1", "state": state} | members)


async def test_an_agent_that_is_there_is_not_sent_for(server: TwirpPeer, client: AgentClient) -> None:
    await client.reach(timeout_s=1)
    assert server.asked("CreateDispatch") == []


async def test_fault_29_an_agent_is_sent_for_once_and_not_asked_while_it_is_joining(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.play("ListParticipants", people(), people(agent(state="JOINING")), people(agent()))
    await client.reach(timeout_s=5)
    assert [asked.body["agent_name"] for asked in server.asked("CreateDispatch")] == ["liba"]
    assert server.asked("DeleteDispatch") == []
    assert server.asked("PerformRpc") == []


async def test_who_has_lost_sight_of_the_agent_looks_for_it_before_asking_it(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.play("PerformRpc", reply(id="u1", epoch=EPOCH, position=0, duplicate=False))
    assert (await client.say(HELLO)).level == "accepted"
    assert calls(server, SAY_METHOD)[0].body["destination_identity"] == agent()["identity"]


async def test_the_dispatch_is_withdrawn_when_nobody_came(server: TwirpPeer, client: AgentClient) -> None:
    server.participants = []
    with pytest.raises(
        NoAgentError, match=r"no agent named 'liba' came into room 'demo' within 0\.3 s"
    ) as caught:
        await client.reach(timeout_s=0.3)
    assert caught.value.hint == "start one: liba agent run"
    assert [asked.body["dispatch_id"] for asked in server.asked("DeleteDispatch")] == ["AD_1"]


async def test_what_is_left_of_a_wait_is_told_in_tenths_of_a_second(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.participants = []
    with pytest.raises(NoAgentError, match=r"within 0\.1 s"):
        await client.reach(timeout_s=0.0912345)


async def test_who_gets_no_agent_while_one_of_that_name_is_elsewhere_is_told_that_its_workers_are_full(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.participants = []
    rows = [{"name": "demo", "num_publishers": 1}, {"name": "quiet"}, {"name": "busy", "num_publishers": 1}]
    server.play("ListRooms", Answer({"rooms": rows}))
    server.play("ListParticipants", people(), people(), people(agent()))
    with pytest.raises(NoAgentError) as caught:
        await client.reach(timeout_s=0.05)
    assert "its workers are full" in caught.value.hint
    assert server.asked("ListParticipants")[-1].body["room"] == "busy"


async def test_what_no_worker_has_taken_is_dispatched_anew_for_one_that_comes_later(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.participants = []
    taken = Answer({"agent_dispatches": [{"id": "AD_3", "state": {"jobs": [{"id": "AJ_1"}]}}]})
    untaken = Answer({"agent_dispatches": [{"id": "AD_1", "state": {}}]})
    server.play("ListDispatch", untaken, untaken, taken)
    told: list[str] = []
    with pytest.raises(NoAgentError) as caught:
        await client.reach(timeout_s=20, on_wait=told.append)
    assert len(server.asked("CreateDispatch")) == 3
    assert [asked.body["dispatch_id"] for asked in server.asked("DeleteDispatch")] == ["AD_1", "AD_2", "AD_3"]
    assert len(server.asked("ListDispatch")) == 3
    assert told == ["waiting for agent 'liba' in room 'demo'..."]
    assert "a worker took it" in caught.value.hint


async def test_no_second_agent_is_sent_for_while_the_first_one_is_joining(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.participants = []
    # As livekit-server 1.13 has it: the job is listed only when it runs, after its agent has come.
    server.play("ListDispatch", *[Answer({"agent_dispatches": [{"id": "AD_1", "state": {}}]})] * 3)
    server.play("ListParticipants", people(), *[people(agent(state="JOINING"))] * 40)
    with pytest.raises(NoAgentError, match="came into room") as caught:
        await client.reach(timeout_s=20)
    assert len(server.asked("CreateDispatch")) == 1
    assert "a worker took it" in caught.value.hint


async def test_a_dead_agent_that_is_still_listed_is_not_taken_for_the_one_that_was_sent_for(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.play("ListParticipants", *[people(agent(state="DISCONNECTED"))] * 60)
    with pytest.raises(NoAgentError, match="came into room"):
        await client.reach(timeout_s=20)
    assert len(server.asked("CreateDispatch")) == 4


async def test_a_dispatch_that_cannot_be_withdrawn_does_not_hide_that_nobody_came(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.participants = []
    server.play("DeleteDispatch", twirp_error(502, "internal", "bad gateway"))
    with pytest.raises(NoAgentError, match="came into room 'demo'"):
        await client.reach(timeout_s=0.3)


async def test_a_dispatch_that_cannot_be_withdrawn_does_not_keep_a_call_from_being_cancelled(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.participants = []
    server.play("DeleteDispatch", twirp_error(502, "internal", "bad gateway"))
    async with asyncio.TaskGroup() as tasks:
        reaching = tasks.create_task(client.reach(timeout_s=10))
        while len(server.asked("ListParticipants")) < 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        reaching.cancel()
    assert reaching.cancelled()
    assert len(server.asked("DeleteDispatch")) == 1


async def test_a_server_that_does_not_answer_is_no_missing_agent(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.play("ListParticipants", Answer(delay_s=1))
    with pytest.raises(TimedOutError, match=r"did not answer within 0\.2 s"):
        await client.reach(timeout_s=0.2)
    assert server.asked("DeleteDispatch") == []


async def test_what_is_said_is_acknowledged_with_its_place(server: TwirpPeer, found: AgentClient) -> None:
    server.play("PerformRpc", reply(epoch="e", id="u1", position=3, duplicate=False))
    assert await found.say(HELLO) == Delivery.accepted(Acknowledgement("u1", 3, epoch="e"))


async def test_a_request_is_signed_for_this_room_this_method_and_these_words(
    server: TwirpPeer, found: AgentClient
) -> None:
    await found.say(HELLO)
    sent = calls(server, SAY_METHOD)[0].rpc
    auth = sent.pop("auth")
    assert sent == {"text": "Hello.", "id": "u1", "speed": 1.5}
    verify_request(server.credentials, auth, room="demo", method=SAY_METHOD, body=sent)


async def test_escaped_json_of_more_than_livekit_carries_is_packed_and_signed_as_what_it_is(
    server: TwirpPeer, found: AgentClient
) -> None:
    request = replace(HELLO, text=4000 * "𝐀", instructions=1000 * "字")
    await found.say(request)
    payload = calls(server, SAY_METHOD)[0].body["payload"].encode()
    assert len(payload) <= MAX_CARRIED_BYTES
    body, auth = parse_request(payload)
    assert read_say(body, max_text_chars=4000) == request
    verify_request(server.credentials, auth or "", room="demo", method=SAY_METHOD, body=body)


async def test_an_id_said_twice_comes_back_as_known(server: TwirpPeer, found: AgentClient) -> None:
    await found.say(HELLO)
    again = await found.say(HELLO)
    assert again.acknowledgement and again.acknowledgement.duplicate
    assert server.queued == ["u1"]


@pytest.mark.parametrize("lost", [AGENT_GONE, NO_RESPONSE])
async def test_a_lost_call_is_made_again_with_the_same_id_to_the_agent_that_is_there_now(
    server: TwirpPeer, found: AgentClient, lost: Answer
) -> None:
    server.play("PerformRpc", lost)
    server.participants = [agent("liba-agent-2")]
    said = await found.say(HELLO)
    first, second = calls(server, SAY_METHOD)
    assert (first.rpc["id"], second.rpc["id"], said.id) == ("u1", "u1", "u1")
    assert second.body["destination_identity"] == "liba-agent-2"


async def test_fault_30_a_call_is_made_again_until_the_agent_has_rejoined(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", twirp_error(500, "internal", "no data channel"), AGENT_GONE)
    assert (await found.say(HELLO)).id == "u1"
    assert server.queued == ["u1"]
    assert {asked.rpc["id"] for asked in calls(server, SAY_METHOD)} == {"u1"}


async def test_a_call_is_not_made_again_without_end(server: TwirpPeer, found: AgentClient) -> None:
    server.play("PerformRpc", *[AGENT_GONE] * 40)
    with pytest.raises(NoAgentError):
        await found.say(HELLO)
    assert 0.5 * 3.5 < asyncio.get_running_loop().time() < 0.5 * 3.5 + 1
    assert 2 <= len(calls(server, SAY_METHOD)) <= 20


async def test_a_line_is_handed_over_with_its_id_to_the_agent_that_replaces_one_that_died(
    server: TwirpPeer,
) -> None:
    silence = replace(rpc_error(1501, "Connection timeout"), delay_s=3.0)
    server.play("PerformRpc", *[silence] * 7)
    async with LiveKitApi(server.credentials, transport=server) as api:
        client = AgentClient(api, AgentLocator(api, room="demo", agent_name="liba"))
        async with asyncio.TaskGroup() as tasks:
            saying = tasks.create_task(client.say(HELLO))
            await asyncio.sleep(20)
            server.participants = [agent("liba-agent-2")]
        assert saying.result().level == "accepted"
    asked = calls(server, SAY_METHOD)
    assert {one.rpc["id"] for one in asked} == {"u1"}
    assert asked[-1].body["destination_identity"] == "liba-agent-2"
    assert server.queued == ["u1"]


@pytest.mark.parametrize(
    "failure",
    [
        twirp_error(502, "internal", "bad gateway"),
        twirp_error(503, "unavailable", "no healthy upstream"),
        Answer("<html>502</html>", 502),
    ],
    ids=["a gateway", "no node", "a page"],
)
async def test_a_line_of_which_livekit_did_not_answer_is_handed_over_again_with_its_id(
    server: TwirpPeer, failure: Answer
) -> None:
    server.play("PerformRpc", failure, failure)
    server.play("ListParticipants", people(agent()), failure)
    async with LiveKitApi(server.credentials, transport=server) as api:
        client = AgentClient(api, AgentLocator(api, room="demo", agent_name="liba"), patience_s=60)
        assert (await client.say(HELLO)).level == "accepted"
    assert [one.rpc["id"] for one in calls(server, SAY_METHOD)] == ["u1"] * 3
    assert server.queued == ["u1"]


async def test_livekit_that_stays_away_ends_a_say_as_what_it_is(
    server: TwirpPeer, found: AgentClient
) -> None:
    failure = twirp_error(502, "internal", "bad gateway")
    server.play("PerformRpc", *[failure] * 40)
    server.play("ListParticipants", *[failure] * 40)
    with pytest.raises(UnreachableError, match="status 502"):
        await found.say(HELLO)
    assert 0.5 < asyncio.get_running_loop().time() < 1.0


async def test_a_server_that_cannot_ask_gets_a_packet_and_nothing_is_claimed(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", OLD_SERVER)
    assert await found.say(HELLO) == Delivery("u1", "sent")
    packet = server.asked("SendData")[0].body
    asked = server.asked("PerformRpc")[0].body["destination_identity"]
    assert packet["destination_identities"] == [asked]  # nobody else in the room gets the text
    assert packet["destination_sids"]
    sent = json.loads(base64.b64decode(packet["data"]))
    auth = sent.pop("auth")
    assert (packet["topic"], sent) == ("say", {"text": "Hello.", "id": "u1", "speed": 1.5})
    verify_request(server.credentials, auth, room="demo", method=SAY_METHOD, body=sent)


async def test_waiting_for_what_was_only_sent_claims_nothing_either(
    server: TwirpPeer, found: AgentClient
) -> None:
    sent = Delivery("u1", "sent")
    assert await found.wait(sent, "accepted", timeout_s=1) == sent
    assert await found.wait(sent, "done", timeout_s=1) == sent
    assert calls(server, STATUS_METHOD) == []


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("queue_full", "--interrupt"),
        ("unsupported_text", "OPENAI_API_KEY"),
        ("unauthorized", "LIVEKIT_API_SECRET"),
        ("nothing_to_say", ""),
    ],
)
async def test_a_refusal_comes_with_its_reason_and_the_next_step(
    server: TwirpPeer, found: AgentClient, reason: str, hint: str
) -> None:
    server.play("PerformRpc", reply(epoch=EPOCH, rejected=reason, message="no"))
    with pytest.raises(RefusedError, match="the agent refused: no") as caught:
        await found.say(HELLO)
    assert caught.value.reason == reason
    assert hint in caught.value.hint
    assert len(server.asked("PerformRpc")) == 1


DRAINING = reply(epoch=EPOCH, rejected="draining", message="it is shutting down")


async def test_the_follower_of_an_agent_that_is_told_to_go_gets_the_line(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", *[DRAINING] * 5)
    follower = people(agent("liba-agent-2"))
    server.play("ListParticipants", *[people(agent())] * 4, people(), people(), follower, follower)
    assert (await found.say(HELLO)).level == "accepted"
    asked = [one.body["destination_identity"] for one in calls(server, SAY_METHOD)]
    assert asked == ["liba-agent-1"] * 5 + ["liba-agent-2"]
    assert {one.rpc["id"] for one in calls(server, SAY_METHOD)} == {"u1"}
    assert len(server.asked("CreateDispatch")) == 1


async def test_an_agent_that_is_told_to_go_and_stays_is_waited_for_longer_than_one_that_is_gone(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", *[DRAINING] * 100)
    with pytest.raises(RefusedError) as caught:
        await found.say(HELLO)
    assert caught.value.reason == "draining"
    assert "started again" in caught.value.hint
    assert 1.5 <= asyncio.get_running_loop().time() / 0.5 < 2


async def test_a_participant_that_takes_no_requests_is_not_asked_again(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", UNKNOWN_METHOD)
    with pytest.raises(RefusedError) as caught:
        await found.say(HELLO)
    assert caught.value.reason == "unsupported_method"
    assert server.asked("SendData") == []


async def test_what_was_accepted_need_not_be_waited_for(server: TwirpPeer, found: AgentClient) -> None:
    assert await found.wait(ACCEPTED, "accepted", timeout_s=1) == ACCEPTED
    assert server.asked("PerformRpc") == []


async def test_the_wait_ends_with_the_level_that_was_waited_for(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", report("accepted"), report("speaking"), report("audible", d01=12.5))
    said = await found.wait(ACCEPTED, "audible", timeout_s=5)
    assert said.level == "audible"
    assert said.encode() == {
        "id": "u1",
        "level": "audible",
        "epoch": EPOCH,
        "position": 0,
        "duplicate": False,
        "state": "audible",
        "d01": 12.5,
    }
    assert len(calls(server, STATUS_METHOD)) == 3


async def test_what_is_done_was_audible(server: TwirpPeer, found: AgentClient) -> None:
    server.play("PerformRpc", report("done"))
    assert (await found.wait(ACCEPTED, "audible", timeout_s=5)).level == "done"


async def test_an_end_that_nobody_saw_is_unconfirmed(server: TwirpPeer, found: AgentClient) -> None:
    server.play("PerformRpc", report("audible"), report("unconfirmed"))
    assert (await found.wait(ACCEPTED, "done", timeout_s=5)).level == "unconfirmed"


@pytest.mark.parametrize(
    ("state", "words"),
    [("interrupted", "was interrupted"), ("failed", "failed"), ("expired", "has expired")],
)
async def test_speech_that_ended_before_its_end_is_told_with_the_reason(
    server: TwirpPeer, found: AgentClient, state: str, words: str
) -> None:
    server.play("PerformRpc", report(state, reason="the voice broke off"))
    with pytest.raises(InterruptedSpeechError, match=f"u1 {words}: the voice broke off") as caught:
        await found.wait(ACCEPTED, "done", timeout_s=5)
    assert caught.value.state == state


async def test_speech_that_failed_is_told_with_a_next_step(server: TwirpPeer, found: AgentClient) -> None:
    server.play("PerformRpc", report("failed", reason="the voice broke off"))
    with pytest.raises(InterruptedSpeechError) as caught:
        await found.wait(ACCEPTED, "done", timeout_s=5)
    assert "liba doctor --paid" in caught.value.hint


async def test_an_id_that_the_agent_forgot_is_told(server: TwirpPeer, found: AgentClient) -> None:
    server.play("PerformRpc", report("unknown"))
    with pytest.raises(InterruptedSpeechError, match="not known"):
        await found.wait(ACCEPTED, "done", timeout_s=5)


async def test_fault_34_another_epoch_means_that_the_queue_is_gone(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", report("unknown", epoch="epoch-2"))
    with pytest.raises(InterruptedSpeechError, match="started anew") as caught:
        await found.wait(ACCEPTED, "done", timeout_s=5)
    assert caught.value.hint == "say it again"


async def test_an_agent_that_came_in_place_of_the_first_is_asked_and_found_out(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", NO_RESPONSE, report("unknown", epoch="epoch-2"))
    server.participants = [agent("liba-agent-2")]
    with pytest.raises(InterruptedSpeechError, match="started anew"):
        await found.wait(ACCEPTED, "done", timeout_s=5)
    assert calls(server, STATUS_METHOD)[-1].body["destination_identity"] == "liba-agent-2"


async def test_a_status_call_that_was_lost_does_not_end_the_wait(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", AGENT_GONE, report("done"))
    assert (await found.wait(ACCEPTED, "done", timeout_s=5)).level == "done"


async def test_what_is_written_down_is_waited_for_with_the_agent_that_follows_however_late_it_comes(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", NO_RESPONSE, report("audible", epoch="epoch-2"))
    server.play("ListParticipants", *[people()] * 50, people(agent("liba-agent-2")))
    server.participants = [agent("liba-agent-2")]
    reached = await found.wait(JOURNALED, "audible", timeout_s=600)
    assert asyncio.get_running_loop().time() > 30
    assert (reached.level, reached.epoch) == ("audible", "epoch-2")
    server.play("PerformRpc", report("done", epoch="epoch-2", resumed=True))
    done = await found.wait(reached, "done", timeout_s=5)
    assert done.encode().items() >= {"epoch": "epoch-2", "level": "done", "resumed": True}.items()


async def test_who_waits_for_what_is_written_down_waits_no_longer_than_he_wants(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", NO_RESPONSE)
    server.participants = []
    with pytest.raises(TimedOutError, match="not done after 60 s"):
        await found.wait(JOURNALED, "done", timeout_s=60)


async def test_what_was_written_down_and_is_lost_all_the_same_is_told(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", report("unknown", epoch="epoch-2"))
    with pytest.raises(InterruptedSpeechError, match="started anew"):
        await found.wait(JOURNALED, "done", timeout_s=5)


async def test_an_agent_that_left_ends_the_wait(server: TwirpPeer, found: AgentClient) -> None:
    server.play("PerformRpc", NO_RESPONSE)
    server.participants = []
    with pytest.raises(InterruptedSpeechError, match="the agent left") as caught:
        await found.wait(ACCEPTED, "done", timeout_s=5)
    assert "not known" in str(caught.value)


async def test_an_agent_that_comes_back_with_its_queue_is_asked_again(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", NO_RESPONSE, report("done"))
    server.play("ListParticipants", people(), people(agent("liba-agent-1", state="JOINING")))
    assert (await found.wait(ACCEPTED, "done", timeout_s=5)).level == "done"
    assert server.queued == []


async def test_fault_35_livekit_that_is_away_for_a_moment_does_not_end_the_wait(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", twirp_error(502, "internal", "bad gateway"), report("done"))
    server.play("ListParticipants", twirp_error(502, "internal", "bad gateway"))
    assert (await found.wait(ACCEPTED, "done", timeout_s=5)).level == "done"


async def test_livekit_that_does_not_come_back_ends_the_wait_as_what_it_is(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", twirp_error(502, "internal", "bad gateway"))
    server.play("ListParticipants", *[twirp_error(502, "internal", "bad gateway")] * 20)
    with pytest.raises(UnreachableError, match="status 502"):
        await found.wait(ACCEPTED, "done", timeout_s=5)


async def test_an_agent_that_is_listed_and_never_answers_ends_the_wait(
    server: TwirpPeer, found: AgentClient
) -> None:
    server.play("PerformRpc", *[NO_RESPONSE] * 20)
    with pytest.raises(InterruptedSpeechError, match="the agent does not answer"):
        await found.wait(ACCEPTED, "done", timeout_s=5)


async def test_a_wait_has_a_bound_and_says_how_far_it_came(server: TwirpPeer, found: AgentClient) -> None:
    server.status = {"state": "speaking"}
    with pytest.raises(TimedOutError, match=r"u1 was accepted but not done after 0\.3 s") as caught:
        await found.wait(ACCEPTED, "done", timeout_s=0.3)
    assert "--id u1" in caught.value.hint


@pytest.mark.parametrize("answer", ["", "[]", "yes", '{"epoch": 1}', '{"epoch": "e", "epoch": "e"}'])
async def test_an_answer_that_nobody_understands_is_an_error_of_ours(
    server: TwirpPeer, found: AgentClient, answer: str
) -> None:
    for question in (found.say(HELLO), found.report("u1"), found.stop()):
        server.play("PerformRpc", Answer({"payload": answer}))
        with pytest.raises(LibaError, match="answer is not understood") as caught:
            await question
        assert type(caught.value) is LibaError


async def test_stop_names_what_it_stopped(server: TwirpPeer, found: AgentClient) -> None:
    await found.say(HELLO)
    assert await found.stop() == ["u1"]
    sent = calls(server, STOP_METHOD)[0].rpc
    verify_request(server.credentials, sent.pop("auth"), room="demo", method=STOP_METHOD, body=sent)


async def test_a_stop_of_one_utterance_is_signed_with_its_id(server: TwirpPeer, found: AgentClient) -> None:
    await found.say(HELLO)
    await found.stop("u1")
    sent = calls(server, STOP_METHOD)[0].rpc
    assert sent["id"] == "u1"
    verify_request(server.credentials, sent.pop("auth"), room="demo", method=STOP_METHOD, body=sent)


async def test_the_queue_is_asked_of_the_agent_that_is_there(server: TwirpPeer, client: AgentClient) -> None:
    server.play(
        "PerformRpc", reply(epoch=EPOCH, queue=1, speaking=None, waiting=[{"id": "u1", "state": "accepted"}])
    )
    assert (await client.queue()).waiting == (Report("u1", "accepted"),)
    sent = calls(server, STATUS_METHOD)[0].rpc
    verify_request(server.credentials, sent.pop("auth"), room="demo", method=STATUS_METHOD, body=sent)
    assert sent == {}


async def test_where_no_agent_is_nobody_is_asked_for_the_queue(
    server: TwirpPeer, client: AgentClient
) -> None:
    server.participants = []
    with pytest.raises(NoAgentError, match="no agent named 'liba' is in room 'demo'") as caught:
        await client.queue()
    assert caught.value.hint == "`liba say` brings one there, if `liba agent run` is running"
    assert calls(server, STATUS_METHOD) == []


async def test_a_bound_does_not_run_while_the_queue_is_paused_and_who_waits_is_told(
    server: TwirpPeer, found: AgentClient
) -> None:
    now = asyncio.get_running_loop().time
    told: list[float] = []
    server.play("PerformRpc", *[report("accepted", paused=True)] * 30, *[report("accepted")] * 2)
    server.status = {"state": "done"}
    began_at = now()
    said = await found.wait(ACCEPTED, "done", timeout_s=5, on_paused=lambda: told.append(now()))
    assert (said.level, len(told)) == ("done", 30)
    assert now() - began_at == pytest.approx(32, abs=0.1)


async def test_after_a_pause_the_rest_of_the_bound_runs(server: TwirpPeer, found: AgentClient) -> None:
    now = asyncio.get_running_loop().time
    server.play("PerformRpc", *[report("accepted", paused=True)] * 30, *[report("accepted")] * 30)
    began_at = now()
    with pytest.raises(TimedOutError):
        await found.wait(ACCEPTED, "done", timeout_s=5, on_paused=lambda: None)
    assert now() - began_at == pytest.approx(35, abs=0.1)


async def test_who_does_not_want_to_be_told_of_a_pause_waits_no_longer_for_it(
    server: TwirpPeer, found: AgentClient
) -> None:
    now = asyncio.get_running_loop().time
    server.play("PerformRpc", *[report("accepted", paused=True)] * 30)
    began_at = now()
    with pytest.raises(TimedOutError):
        await found.wait(ACCEPTED, "done", timeout_s=5)
    assert now() - began_at == pytest.approx(5, abs=0.1)


REQUESTS: dict[str, tuple[Callable[[AgentClient], Awaitable[Any]], dict[str, Any]]] = {
    CANCEL_METHOD: (lambda client: client.cancel("u1", is_own=True), {"id": "u1", "own": True}),
    MOVE_METHOD: (lambda client: client.move(MoveRequest("u1", before="u2")), {"id": "u1", "before": "u2"}),
    PAUSE_METHOD: (lambda client: client.pause(), {}),
    RESUME_METHOD: (lambda client: client.pause(False), {}),
    NEXT_METHOD: (lambda client: client.next("u1"), {"id": "u1"}),
}


@pytest.mark.parametrize("method", REQUESTS)
async def test_what_is_asked_of_the_queue_is_signed(
    server: TwirpPeer, found: AgentClient, method: str
) -> None:
    ask, body = REQUESTS[method]
    server.play(
        "PerformRpc",
        report("accepted", position=0, priority=0, paused=True, changed=True, queue=1, released=True),
    )
    await ask(found)
    sent = calls(server, method)[0].rpc
    verify_request(server.credentials, sent.pop("auth"), room="demo", method=method, body=sent)
    assert sent == body


@pytest.mark.parametrize("method", REQUESTS)
async def test_an_agent_that_is_too_old_for_it_is_named_as_such(
    server: TwirpPeer, found: AgentClient, method: str
) -> None:
    server.play("PerformRpc", UNKNOWN_METHOD)
    with pytest.raises(RefusedError, match=f"the agent is too old: it has no {method}") as caught:
        await REQUESTS[method][0](found)
    assert (caught.value.reason, caught.value.exit_code) == ("old_agent", 6)
    assert "liba agent run" in caught.value.hint


@pytest.mark.parametrize("method", REQUESTS)
async def test_an_answer_about_the_queue_that_is_none_is_not_understood(
    server: TwirpPeer, found: AgentClient, method: str
) -> None:
    server.play("PerformRpc", reply(epoch=EPOCH))
    with pytest.raises(LibaError, match="answer is not understood"):
        await REQUESTS[method][0](found)
