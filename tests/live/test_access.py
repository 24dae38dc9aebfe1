"""Who may make the agent speak, and what it does with what is malformed."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from livekit import rtc
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.core.lifecycle import FINAL_STATES
from libacli.core.messages import SayRequest
from libacli.core.protocol import (
    CAN_SAY_ATTRIBUTE,
    EVENTS_TOPIC,
    SAY_METHOD,
    SAY_TOPIC,
    STATUS_METHOD,
    STOP_METHOD,
)
from libacli.edges.livekit.agent_client import AgentClient
from libacli.edges.livekit.agent_locator import AgentLocator
from libacli.edges.livekit.api import LiveKitApi
from libacli.edges.livekit.joining import joined
from libacli.edges.livekit.tokens import Permissions, join_token, sign_request
from tests.live.conftest import CHARS_PER_HOUR, ReadyRoom, close_room, made_ready, new_room
from tests.live.heard import quiet

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
async def lasting(credentials: LiveKitCredentials, worker: Path, agent_name: str) -> AsyncIterator[ReadyRoom]:
    """The room of all tests that ask for `same_room`."""
    room = new_room()
    async with made_ready(credentials, room, agent_name) as ready:
        yield ready
    await asyncio.to_thread(close_room, credentials, room)


@pytest.fixture
async def same_room(lasting: ReadyRoom, credentials: LiveKitCredentials) -> AsyncIterator[ReadyRoom]:
    """As `ready_room`, for tests that leave the agent as it was: silent, and asked for nothing more."""
    await quiet(lasting.listener)
    while not lasting.listener.events.empty():
        lasting.listener.events.get_nowait()
    async with LiveKitApi(credentials) as api:
        client = AgentClient(api, AgentLocator(api, room=lasting.room, agent_name="liba"))
        queue = await client.queue()
        assert (queue.speaking, list(queue.waiting)) == (None, [])
        yield replace(lasting, client=client)


@asynccontextmanager
async def guest(
    credentials: LiveKitCredentials, room: str, *, can_say: bool, can_publish: bool = False
) -> AsyncIterator[rtc.Room]:
    token = join_token(
        credentials,
        room=room,
        identity="guest",
        permissions=Permissions(can_say=can_say, can_publish=can_publish),
    )
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        yield there


def made_token(
    credentials: LiveKitCredentials, room: str, identity: str, grants: dict[str, bool], **claims: Any
) -> str:
    """A token that liba would not make: by hand, with the secret."""
    made = {
        "iss": credentials.api_key,
        "sub": identity,
        "exp": 4_000_000_000,
        "video": {"roomJoin": True, "room": room, "canSubscribe": True} | grants,
    }
    return jwt.encode(made | claims, credentials.api_secret.get_secret_value(), algorithm="HS256")


def signed_payload(
    credentials: LiveKitCredentials, room: str, method: str, body: dict[str, Any], *, agent: str = ""
) -> str:
    auth = sign_request(credentials, room=room, method=method, body=body, agent=agent)
    return json.dumps(body | {"auth": auth})


def reclaimed(credentials: LiveKitCredentials, room: str, body: dict[str, Any], shift_s: int) -> str:
    """A say request signed by somebody whose clock is so many seconds ahead."""
    secret = credentials.api_secret.get_secret_value()
    auth = json.loads(signed_payload(credentials, room, SAY_METHOD, body))["auth"]
    claims = jwt.decode(auth, secret, algorithms=["HS256"], audience="liba")
    shifted = {name: claims[name] + shift_s for name in ("nbf", "exp")}
    return json.dumps(body | {"auth": jwt.encode(claims | shifted, secret, algorithm="HS256")})


def told_to(there: rtc.Room) -> asyncio.Queue[dict[str, Any]]:
    """Events that come to this participant from now on."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def on_data(packet: rtc.DataPacket) -> None:
        if packet.topic == EVENTS_TOPIC:
            told.put_nowait(json.loads(packet.data))

    there.on("data_received", on_data)
    return told


async def next_told(told: asyncio.Queue[dict[str, Any]]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        return await told.get()


def stands_in(log: Path, text: str) -> bool:
    return text in log.read_text(errors="replace")


async def identity_of_agent(ready_room: ReadyRoom, credentials: LiveKitCredentials) -> str:
    async with LiveKitApi(credentials) as api:
        identity = await api.find_agent(ready_room.room, "liba")
    assert identity
    return identity


async def agent_in(room: rtc.Room) -> str:
    """Identity of the agent, once each sees the other: for some seconds a newcomer is nobody to it."""
    async with asyncio.timeout(60):
        while True:
            for participant in list(room.remote_participants.values()):
                if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT and await _knows_me(
                    room, participant.identity
                ):
                    return participant.identity
            await asyncio.sleep(0.05)


async def _knows_me(room: rtc.Room, agent: str) -> bool:
    try:
        reply = await room.local_participant.perform_rpc(
            destination_identity=agent, method=STATUS_METHOD, payload="{}"
        )
    except rtc.RpcError as error:
        codes = rtc.RpcError.ErrorCode
        # It is joining, and takes none yet; or it was one too many, and has just left.
        if error.code not in (codes.UNSUPPORTED_METHOD, codes.RECIPIENT_DISCONNECTED):
            raise
        return False
    return bool(json.loads(reply).get("rejected") != "unknown_sender")


async def still_speaks(ready_room: ReadyRoom) -> bool:
    take = ready_room.listener.start_capture()
    said = await ready_room.client.say(SayRequest("Still here.", id=uuid.uuid4().hex[:8]))
    async with asyncio.timeout(60):
        event = await ready_room.listener.wait_for(said.id, *FINAL_STATES)
    await asyncio.sleep(0.3)
    return event["state"] == "done" and take.speech_s > 0.3


async def test_a_packet_from_a_guest_with_can_say_is_spoken(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, ready_room.room, can_say=True) as there:
        await agent_in(there)
        await there.local_participant.publish_data(b'{"text": "Hello.", "id": "p1"}', topic=SAY_TOPIC)
        async with asyncio.timeout(60):
            assert (await ready_room.listener.wait_for("p1", *FINAL_STATES))["state"] == "done"


async def test_escaped_json_of_4000_characters_is_taken_as_a_packet_and_as_a_call(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    text = "Hello. " + "".join(chr(0x1F300 + number % 0x300) for number in range(3993))
    packet = json.dumps({"text": text, "id": "p2"}).encode()
    assert len(packet) > 47_000
    async with guest(credentials, ready_room.room, can_say=True) as there:
        await agent_in(there)
        await there.local_participant.publish_data(packet, topic=SAY_TOPIC)
        async with asyncio.timeout(60):
            await ready_room.listener.wait_for("p2", "accepted", *FINAL_STATES)
    said = await ready_room.client.say(SayRequest(text, id="c2"))
    assert said.level == "accepted"
    assert set(await ready_room.client.stop()) <= {"p2", "c2"}


async def test_a_call_from_a_guest_with_can_say_is_answered_and_spoken(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, ready_room.room, can_say=True) as there:
        reply = await there.local_participant.perform_rpc(
            destination_identity=await agent_in(there),
            method=SAY_METHOD,
            payload='{"text": "Hi.", "id": "c1"}',
        )
        assert json.loads(reply) | {"epoch": ""} == {
            "epoch": "",
            "id": "c1",
            "position": 0,
            "duplicate": False,
        }
        async with asyncio.timeout(60):
            assert (await ready_room.listener.wait_for("c1", *FINAL_STATES))["state"] == "done"


async def test_fault_04_a_packet_from_a_viewer_does_not_even_arrive(
    same_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    take = same_room.listener.start_capture()
    async with guest(credentials, same_room.room, can_say=False) as there:
        for _ in range(10):
            await there.local_participant.publish_data(b'{"text": "Hello.", "id": "v1"}', topic=SAY_TOPIC)
            await asyncio.sleep(0.3)
    assert same_room.listener.events.empty()
    assert take.speech_s == 0


async def test_fault_05_a_newcomer_is_told_that_it_is_not_known_yet_and_is_heard_once_it_is(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, ready_room.room, can_say=True) as there:
        agent = await identity_of_agent(ready_room, credentials)
        body = '{"text": "Hello.", "id": "n1"}'
        await there.local_participant.publish_data(body, topic=SAY_TOPIC)  # nobody could be told
        answers = []
        for after_s in (0.0, 0.3, 3.5, 3.5):  # the agent knows it after 3 s, by the agent's clock
            await asyncio.sleep(after_s)
            answers.append(
                json.loads(
                    await there.local_participant.perform_rpc(
                        destination_identity=agent, method=SAY_METHOD, payload=body
                    )
                )
            )
            if "rejected" not in answers[-1]:
                break
        for answer in answers[:-1]:
            assert answer["rejected"] == "unknown_sender"
            assert "try again" in answer["message"]
        async with asyncio.timeout(60):
            event = await ready_room.listener.wait_for("n1", "rejected", *FINAL_STATES)
        assert event["state"] == "done"


async def test_fault_05_a_hidden_participant_is_never_trusted_whatever_its_token_says(
    same_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    grants = {"canPublishData": True, "hidden": True}
    token = made_token(credentials, same_room.room, "ghost", grants, attributes={CAN_SAY_ATTRIBUTE: "true"})
    take = same_room.listener.start_capture()
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        for number in range(5):
            payload = json.dumps({"text": "Hello.", "id": f"h{number}"})
            await there.local_participant.publish_data(payload, topic=SAY_TOPIC)
            await asyncio.sleep(1)
    for number in range(5):
        assert (await same_room.client.report(f"h{number}"))["state"] == "unknown"
    assert same_room.listener.events.empty()
    assert take.speech_s == 0


async def test_fault_06_a_text_stream_in_anothers_name_is_no_way_in(
    same_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    attributes = {CAN_SAY_ATTRIBUTE: "true"}
    grants = {"canPublishData": True, "agent": True}
    token = made_token(
        credentials, same_room.room, "other-agent", grants, kind="agent", attributes=attributes
    )
    take = same_room.listener.start_capture()
    async with (
        guest(credentials, same_room.room, can_say=True) as honest,
        joined(rtc.Room(), credentials.ws_url, token) as there,
    ):
        await agent_in(honest)
        for topic in (SAY_TOPIC, "lk.chat"):
            stream = await there.local_participant.stream_text(topic=topic, sender_identity="guest")
            await stream.write('{"text": "Hello.", "id": "s1"}')
            await stream.aclose()
        # An agent's own packet, too: its kind never may, whatever attributes its token has.
        await there.local_participant.publish_data(b'{"text": "Hello.", "id": "s2"}', topic=SAY_TOPIC)
        await asyncio.sleep(2)
    assert (await same_room.client.report("s2"))["state"] == "unknown"
    assert same_room.listener.events.empty()
    assert take.speech_s == 0


async def test_fault_07_who_joins_as_the_agent_is_noticed_and_reported(
    ready_room: ReadyRoom, credentials: LiveKitCredentials, worker: Path
) -> None:
    async with guest(credentials, ready_room.room, can_say=True) as there:
        agent = await agent_in(there)
    token = made_token(credentials, ready_room.room, agent, {"canPublishData": True})
    async with joined(rtc.Room(), credentials.ws_url, token), asyncio.timeout(60):
        while not stands_in(worker, f"TAKEOVER: somebody joined room {ready_room.room}"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert stands_in(worker, f"agent, {agent}, and put it out")


async def test_an_attribute_that_somebody_could_have_given_itself_is_worth_nothing(
    same_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    grants = {"canPublishData": True, "canUpdateOwnMetadata": True}
    token = made_token(credentials, same_room.room, "climber", grants)
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        await there.local_participant.set_attributes({CAN_SAY_ATTRIBUTE: "true"})
        await agent_in(there)
        await asyncio.sleep(1)
        told = told_to(there)
        await there.local_participant.publish_data(b'{"text": "Hello.", "id": "c1"}', topic=SAY_TOPIC)
        event = await next_told(told)
    assert (event["id"], event["rejected"]) == ("c1", "unauthorized")


async def test_fault_31_a_request_that_livekit_delivers_again_is_carried_out_once(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    agent = await identity_of_agent(ready_room, credentials)
    say = signed_payload(credentials, ready_room.room, SAY_METHOD, {"text": "Hello."})
    stop = signed_payload(credentials, ready_room.room, STOP_METHOD, {})
    async with LiveKitApi(credentials) as api:
        answers = {await api.perform_rpc(ready_room.room, agent, SAY_METHOD, say) for _ in range(3)}
        assert len(answers) == 1
        said = json.loads(answers.pop())["id"]
        stopped = await api.perform_rpc(ready_room.room, agent, STOP_METHOD, stop)
        assert json.loads(stopped)["stopped"] == [said]
        await ready_room.client.say(SayRequest("Hello again.", id="later"))
        assert await api.perform_rpc(ready_room.room, agent, STOP_METHOD, stop) == stopped
        assert await api.perform_rpc(ready_room.room, agent, SAY_METHOD, say)
    states: dict[str, list[str]] = {said: [], "later": []}
    async with asyncio.timeout(60):
        while "done" not in states["later"]:
            event = await ready_room.listener.events.get()
            states[event["id"]].append(event["state"])
    assert states[said][-1] == "interrupted"
    assert states[said].count("accepted") == 1


async def test_fault_56_each_way_a_signature_can_be_wrong_is_told_and_none_is_spoken(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    agent = await identity_of_agent(ready_room, credentials)
    body = {"text": "Hello."}
    stranger = replace(credentials, api_secret=SecretStr("a-secret-that-nobody-knows-of-32-chars"))
    other_key = replace(credentials, api_key="APIother")
    wrong = {
        "by a key that is not accepted": [
            signed_payload(stranger, ready_room.room, SAY_METHOD, body),
            signed_payload(other_key, ready_room.room, SAY_METHOD, body),
        ],
        "for another room": [signed_payload(credentials, "other", SAY_METHOD, body)],
        "for another method": [signed_payload(credentials, ready_room.room, STOP_METHOD, body)],
        "for another body": [
            json.dumps(
                json.loads(signed_payload(credentials, ready_room.room, SAY_METHOD, body)) | {"text": "Bye."}
            )
        ],
        "for another agent": [
            signed_payload(credentials, ready_room.room, SAY_METHOD, body, agent="liba-agent-that-is-gone")
        ],
        "has expired": [reclaimed(credentials, ready_room.room, body, -200)],
        "is from the future": [reclaimed(credentials, ready_room.room, body, 200)],
        "is not valid": [
            json.dumps(body | {"auth": jwt.encode({"aud": "liba"}, "", algorithm="none")}),
            json.dumps(body | {"auth": "rubbish"}),
        ],
    }
    async with LiveKitApi(credentials) as api:
        for words, payloads in wrong.items():
            for payload in payloads:
                answer = json.loads(await api.perform_rpc(ready_room.room, agent, SAY_METHOD, payload))
                assert answer["rejected"] == "unauthorized"
                assert words in answer["message"]
        for shift_s in (-28, 28):  # clocks may differ by half a minute
            payload = reclaimed(credentials, ready_room.room, body, shift_s)
            assert "id" in json.loads(await api.perform_rpc(ready_room.room, agent, SAY_METHOD, payload))


async def test_fault_50_a_hundred_lines_at_once_are_taken_or_refused_and_none_is_forgotten(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, ready_room.room, can_say=True) as there:
        await agent_in(there)
        for number in range(100):
            payload = json.dumps({"text": f"Line {number}.", "id": f"b{number}"})
            await there.local_participant.publish_data(payload, topic=SAY_TOPIC)
        told: dict[str, str] = {}
        async with asyncio.timeout(60):
            while len(told) < 100:
                event = await ready_room.listener.events.get()
                if event["state"] in ("accepted", "rejected"):
                    told[event["id"]] = event.get("rejected", "accepted")
    taken = [id for id, outcome in told.items() if outcome == "accepted"]
    assert 32 <= len(taken) <= 36
    assert set(told.values()) <= {"accepted", "queue_full", "rate_limited"}
    assert sorted(await ready_room.client.stop())
    assert await still_speaks(ready_room)


async def test_the_queue_shows_its_caps(ready_room: ReadyRoom) -> None:
    before = {cap.name: cap.used for cap in (await ready_room.client.queue()).caps}
    await ready_room.client.say(SayRequest("Hello.", id="q1"))
    caps = {cap.name: cap for cap in (await ready_room.client.queue()).caps}
    assert caps["speech"].used >= before["speech"] + 6  # other rooms may speak, too
    assert caps["speech"].limit == CHARS_PER_HOUR
    assert (caps["your requests"].used, caps["your requests"].limit) == (1, 33)


async def test_a_guest_that_may_send_data_but_not_say_is_refused_with_an_event_of_its_own(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    token = made_token(credentials, ready_room.room, "guest", {"canPublishData": True})
    take = ready_room.listener.start_capture()
    async with joined(rtc.Room(), credentials.ws_url, token) as there:
        await agent_in(there)
        told = told_to(there)
        await there.local_participant.publish_data(b'{"text": "Hello.", "id": "g1"}', topic=SAY_TOPIC)
        event = await next_told(told)
        assert (event["id"], event["rejected"]) == ("g1", "unauthorized")
        assert ready_room.listener.events.empty()
        body = {"text": "Signed.", "id": "g2"}
        auth = sign_request(credentials, room=ready_room.room, method=SAY_METHOD, body=body)
        await there.local_participant.publish_data(json.dumps(body | {"auth": auth}), topic=SAY_TOPIC)
        async with asyncio.timeout(60):
            assert (await ready_room.listener.wait_for("g2", *FINAL_STATES))["state"] == "done"
    assert take.speech_s > 0


@pytest.mark.parametrize(
    "payload",
    [
        b"null",
        b"true",
        b"12",
        b"[]",
        b'"hi"',
        b"{}",
        b'{"text": 5}',
        b'{"text": "hi"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_a_malformed_packet_is_rejected_and_the_agent_goes_on(
    same_room: ReadyRoom, credentials: LiveKitCredentials, payload: bytes
) -> None:
    async with guest(credentials, same_room.room, can_say=True) as there:
        await agent_in(there)
        told = told_to(there)
        await there.local_participant.publish_data(payload, topic=SAY_TOPIC)
        event = await next_told(told)
    assert (event["state"], event["rejected"]) == ("rejected", "malformed")
    assert same_room.listener.events.empty()
    assert await still_speaks(same_room)


async def test_the_queue_can_be_asked_for_and_holds_no_text(
    ready_room: ReadyRoom, credentials: LiveKitCredentials
) -> None:
    async with guest(credentials, ready_room.room, can_say=True) as there:
        agent = await agent_in(there)
        await ready_room.client.say(SayRequest("A canary sings for a while in its cage.", id="q1"))
        await ready_room.client.say(SayRequest("Another canary.", id="q2"))
        reply = await there.local_participant.perform_rpc(
            destination_identity=agent, method=STATUS_METHOD, payload="{}"
        )
    queue = json.loads(reply)
    assert queue["speaking"]["id"] == "q1"
    assert [waiting["id"] for waiting in queue["waiting"]] == ["q2"]
    assert "canary" not in reply
