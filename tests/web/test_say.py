from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from libacli.config import Settings
from libacli.core.delivery import Delivery
from libacli.core.messages import SayRequest
from libacli.errors import RefusedError, UnreachableError
from libacli.web.app import make_app
from libacli.web.keys import new_key
from libacli.web.services import WebApp
from tests.web.conftest import connected, enter
from tests.web.fake_gateway import FakeGateway


async def say(client: httpx2.AsyncClient, query: str = "", **members: Any) -> httpx2.Response:
    return await client.post(f"/api/say{query}", json={"text": "Hello.", "id": "u1"} | members)


async def later(gateway: FakeGateway, *states: str) -> None:
    """A second apart, u1 comes into each of `states`."""
    for state in states:
        await asyncio.sleep(1)
        gateway.becomes("demo", "u1", state)


async def test_it_hands_the_text_over_and_tells_where_to_ask_about_it(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    answer = await say(client)
    assert answer.status_code == 202
    assert answer.json() == {
        "id": "u1",
        "room": "demo",
        "level": "accepted",
        "epoch": "epoch1",
        "position": 0,
        "duplicate": False,
        "journaled": None,
        "paused": False,
        "state": "accepted",
        "report": None,
    }
    asked = await client.get(answer.headers["location"])
    assert asked.json()["state"] == "accepted"
    assert gateway.agents["demo"].requests == [SayRequest("Hello.", "u1")]


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("path", ["/api/say", "/say"])
async def test_a_text_is_part_of_the_trace_that_its_headers_name(
    client: httpx2.AsyncClient, gateway: FakeGateway, path: str
) -> None:
    headers = {"traceparent": PARENT, "tracestate": "a=b"}
    answer = await client.post(path, json={"text": "Hello.", "id": "u1"}, headers=headers)
    assert answer.status_code == 202
    assert gateway.agents["demo"].requests == [
        SayRequest("Hello.", "u1", traceparent=PARENT, tracestate="a=b")
    ]


@pytest.mark.parametrize("malformed", ["", "nonsense", PARENT.upper(), "00-" + "0" * 52])
async def test_a_malformed_trace_is_passed_over_and_the_text_said(
    client: httpx2.AsyncClient, gateway: FakeGateway, malformed: str
) -> None:
    headers = {"traceparent": malformed, "tracestate": "a=b"}
    answer = await client.post("/api/say", json={"text": "Hello.", "id": "u1"}, headers=headers)
    assert answer.status_code == 202
    assert gateway.agents["demo"].requests == [SayRequest("Hello.", "u1")]


async def test_all_that_can_be_asked_for_comes_to_the_agent(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    wishes: dict[str, Any] = {
        "voice": "nova",
        "speed": 1.5,
        "instructions": "Calmly.",
        "emotion": "happiness",
        "interrupt": True,
        "priority": 7,
        "ttl_ms": 5000,
    }
    assert (await say(client, room="lobby", **wishes)).status_code == 202
    assert gateway.agents["lobby"].requests == [SayRequest("Hello.", "u1", **wishes)]


async def test_an_emotion_that_there_is_not_is_a_problem_that_names_those_that_there_are(
    client: httpx2.AsyncClient,
) -> None:
    answer = await say(client, emotion="joy")
    assert answer.status_code == 422
    assert "contempt" in answer.text


@pytest.mark.parametrize(
    ("markdown", "text"), [(None, "**Hello**"), ("off", "**Hello**"), ("on", "Hello"), ("auto", "Hello")]
)
async def test_markdown_is_read_as_prose_where_that_is_said(
    client: httpx2.AsyncClient, gateway: FakeGateway, markdown: str | None, text: str
) -> None:
    wish = {"markdown": markdown} if markdown else {}
    assert (await client.post("/api/say", json={"text": "**Hello**"} | wish)).status_code == 202
    [request] = gateway.agents["demo"].requests
    assert request.text == text


async def test_null_means_that_nothing_is_wished(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    answer = await say(client, id=None, room=None, voice=None, speed=None, interrupt=None, ttl_ms=None)
    assert answer.status_code == 202
    [request] = gateway.agents["demo"].requests
    assert request == SayRequest("Hello.", answer.json()["id"])


async def test_without_an_id_each_utterance_gets_one_of_its_own(client: httpx2.AsyncClient) -> None:
    ids = {(await client.post("/api/say", json={"text": "Hello."})).json()["id"] for _ in range(3)}
    assert len(ids) == 3


async def test_each_caller_has_an_account_of_its_own_with_the_agent(gateway: FakeGateway) -> None:
    key, entry = new_key("laptop")
    app = make_app(Settings(serve_keys=(entry,)), gateway)
    headers = {"by key": {"Authorization": f"Bearer {key}"}, "guest": await enter(app, "demo", can_say=True)}
    async with connected(app) as client:
        for who in headers.values():
            await client.post("/api/say", json={"text": "Hello."}, headers=who)
            await client.get("/api/rooms/demo", headers=who)
    (session,) = await app.services.sessions.all()
    assert gateway.callers == ["key laptop"] * 2 + [session.name] * 2


async def test_who_is_on_this_machine_speaks_for_its_owner(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    await say(client)
    assert gateway.callers == [""]


async def test_the_same_idempotency_key_is_spoken_once(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    answers = [
        await client.post("/api/say", json={"text": "Hello."}, headers={"Idempotency-Key": "order-17"})
        for _ in range(2)
    ]
    assert [answer.json()["id"] for answer in answers] == ["order-17"] * 2
    assert [answer.json()["duplicate"] for answer in answers] == [False, True]
    assert len(gateway.agents["demo"].requests) == 1


async def test_a_long_idempotency_key_becomes_a_short_id_and_goes_with_no_other_id(
    client: httpx2.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "k" * 65}
    ids = [(await client.post("/api/say", json={"text": "A"}, headers=headers)).json()["id"] for _ in "ab"]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 32
    same = await client.post("/api/say", json={"text": "A", "id": ids[0]}, headers=headers)
    assert same.json()["duplicate"]
    other = await client.post("/api/say", json={"text": "A", "id": "mine"}, headers=headers)
    assert (other.status_code, other.json()["reason"]) == (422, "malformed")


@pytest.mark.parametrize("change", [{"text": "Bye."}, {"voice": "heart"}, {"speed": 1.5}, {"room": "lobby"}])
async def test_the_same_key_with_another_body_is_refused_and_not_spoken(
    client: httpx2.AsyncClient, gateway: FakeGateway, change: dict[str, Any]
) -> None:
    headers = {"Idempotency-Key": "order-17"}
    for body, status in (({"text": "Hello."}, 202), ({"text": "Hello."} | change, 422)):
        answer = await client.post("/api/say", json=body, headers=headers)
        assert answer.status_code == status
    assert answer.json()["reason"] == "id_reused"
    assert [agent.requests[0].text for agent in gateway.agents.values()] == ["Hello."]


async def test_an_id_of_somebody_else_with_another_text_is_refused_by_the_agent(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    await gateway.say("demo", SayRequest("Hello.", id="order-17"), timeout_s=1)
    answer = await client.post("/api/say", json={"text": "Bye.", "id": "order-17"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "id_reused")


async def test_retries_under_way_at_once_are_spoken_once_and_all_are_answered(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    async with asyncio.TaskGroup() as tasks:
        headers = {"Idempotency-Key": "order-17"}
        asked = [
            tasks.create_task(client.post("/api/say", json={"text": "Hello."}, headers=headers))
            for _ in range(5)
        ]
    answers = [task.result() for task in asked]
    assert [answer.status_code for answer in answers] == [202] * 5
    assert sum(not answer.json()["duplicate"] for answer in answers) == 1
    assert len(gateway.agents["demo"].requests) == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"])
async def test_an_idempotency_key_that_is_none_is_refused(client: httpx2.AsyncClient, key: str) -> None:
    answer = await client.post("/api/say", json={"text": "A"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"text": "  ... "}, "nothing_to_say"),
        ({"text": "a" * 5000}, "text_too_long"),
        ({"text": "[pause 1s]"}, "nothing_to_say"),
        ({"text": "<speak>Hello.</speak>"}, "unsupported_markup"),
        ({"markdown": "perhaps"}, "malformed"),
        ({"text": 17}, "malformed"),
        ({"text": None}, "malformed"),
        ({"id": ""}, "malformed"),
        ({"id": "a\x00b"}, "malformed"),
        ({"speed": 9}, "malformed"),
        ({"priority": 101}, "malformed"),
        ({"priority": 0.5}, "malformed"),
        ({"interrupt": "yes"}, "malformed"),
        ({"room": ""}, "malformed"),
        ({"room": " demo"}, "malformed"),
        ({"loud": True}, "malformed"),
    ],
)
async def test_what_cannot_be_said_is_refused_and_comes_to_no_agent(
    client: httpx2.AsyncClient, gateway: FakeGateway, members: dict[str, Any], reason: str
) -> None:
    answer = await say(client, **members)
    assert (answer.status_code, answer.json()["reason"]) == (422, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    assert not gateway.agents


async def test_a_text_with_half_a_character_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post(
        "/api/say", content=rb'{"text": "a\ud800"}', headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422


async def test_where_no_agent_comes_within_ten_seconds_it_says_how_to_start_one(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.has_worker = False
    started = asyncio.get_running_loop().time()
    answer = await say(client)
    assert asyncio.get_running_loop().time() - started == 10
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_agent")
    assert answer.json()["hint"] == "start one: liba agent run"


async def test_a_refusal_that_passes_tells_when_to_come_again(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.failures["say"] = RefusedError("rate_limited", "too often", retry_in_s=2.25)
    answer = await say(client)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert answer.json()["retry_in_s"] == 2.25


@pytest.mark.parametrize(("level", "before"), [("audible", ["speaking"]), ("done", ["speaking", "audible"])])
async def test_who_waits_is_answered_when_it_has_come_so_far(
    client: httpx2.AsyncClient, gateway: FakeGateway, level: str, before: list[str]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(say(client, f"?wait={level}"))
        await later(gateway, *before)
        await asyncio.sleep(1)
        assert not waiting.done()
        await later(gateway, level)
    answer = waiting.result()
    assert answer.status_code == 200
    assert (answer.json()["level"], answer.json()["state"]) == (level, level)
    assert answer.json()["report"] == {"id": "u1", "state": level}


@pytest.mark.parametrize("state", ["interrupted", "failed", "expired", "unconfirmed"])
async def test_who_waits_is_told_how_it_ended_otherwise(
    client: httpx2.AsyncClient, gateway: FakeGateway, state: str
) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(say(client, "?wait=done"))
        await later(gateway, state)
    assert waiting.result().status_code == 200
    assert waiting.result().json()["state"] == state
    assert waiting.result().json()["report"]["state"] == state


async def test_when_its_agent_goes_while_one_waits_it_is_lost(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(say(client, "?wait=done"))
        await asyncio.sleep(1)
        gateway.leaves("demo")
    answer = waiting.result()
    assert (answer.status_code, answer.json()["state"]) == (200, "lost")
    assert answer.json()["report"] is None


async def test_when_another_agent_has_come_in_its_place_it_is_lost(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(say(client, "?wait=audible"))
        await asyncio.sleep(1)
        gateway.comes("demo")
    answer = waiting.result()
    assert (answer.status_code, answer.json()["state"]) == (200, "lost")
    assert answer.json()["epoch"] == "epoch1"


async def test_who_has_waited_long_enough_is_told_what_is_known(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(say(client, "?wait=done&timeout_s=5"))
        await later(gateway, "speaking", "audible")
        assert not waiting.done()
    answer = waiting.result()
    assert answer.status_code == 202
    assert (answer.json()["level"], answer.json()["state"]) == ("audible", "audible")


async def test_when_the_server_is_about_to_end_who_waits_is_told_what_is_known(
    app: WebApp, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(say(client, "?wait=done"))
        await later(gateway, "speaking", "audible")
        assert not waiting.done()
        app.services.answer_now.set()
        await asyncio.sleep(0.1)
        assert waiting.done()
    answer = waiting.result()
    assert answer.status_code == 202
    assert (answer.json()["level"], answer.json()["state"]) == ("audible", "audible")
    assert gateway.waiting == 0


async def test_what_goes_wrong_while_one_waits_is_told_as_what_it_is(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.failures["wait"] = RefusedError("unauthorized", "not for you")
    answer = await say(client, "?wait=done")
    assert (answer.status_code, answer.json()["reason"]) == (502, "unauthorized")


async def test_one_waits_as_long_as_the_text_needs(client: httpx2.AsyncClient) -> None:
    clock = asyncio.get_running_loop().time
    started = clock()
    assert (await say(client, "?wait=done", text="a" * 100)).status_code == 202
    assert clock() - started == pytest.approx(60)


@pytest.mark.parametrize(("ahead_s", "bound_s"), [(0.0, 60), (300.0, 360), (5000.0, 600)])
async def test_wait_ignores_queue_one_waits_as_long_as_those_before_need(
    client: httpx2.AsyncClient, gateway: FakeGateway, ahead_s: float, bound_s: float
) -> None:
    gateway.ahead_s = ahead_s
    clock = asyncio.get_running_loop().time
    started = clock()
    assert (await say(client, "?wait=done", text="a" * 100)).status_code == 202
    assert clock() - started == pytest.approx(bound_s)
    assert (await say(client, "?wait=done&timeout_s=7", text="a" * 100)).status_code == 202
    assert clock() - started == pytest.approx(bound_s + 7)


async def test_who_waits_while_livekit_is_away_is_told_what_is_known(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.failures["wait"] = gateway.failures["report"] = UnreachableError("LiveKit does not answer")
    answer = await say(client, "?wait=done")
    assert (answer.status_code, answer.json()["state"]) == (202, "accepted")


@pytest.mark.parametrize(
    "query", ["?wait=forever", "?wait=done&timeout_s=0", "?timeout_s=601", "?timeout_s=nan"]
)
async def test_a_wait_that_cannot_be_is_refused(
    client: httpx2.AsyncClient, gateway: FakeGateway, query: str
) -> None:
    assert (await say(client, query)).status_code == 422
    assert not gateway.calls


async def test_where_the_agent_cannot_be_asked_nobody_waits() -> None:
    class OldServer(FakeGateway):
        async def say(
            self, room: str, request: SayRequest, *, timeout_s: float, on_behalf: str = ""
        ) -> Delivery:
            return Delivery(request.id, "sent")

    async with connected(make_app(Settings(), OldServer())) as client:
        answer = await say(client, "?wait=done")
    assert (answer.status_code, answer.json()["level"]) == (202, "sent")


async def test_the_report_tells_what_became_of_it(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    await say(client, room="lobby")
    gateway.becomes("lobby", "u1", "done", route="track", d01=312.5)
    answer = await client.get("/api/say/u1")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": "u1",
        "room": "lobby",
        "epoch": "epoch1",
        "state": "done",
        "report": {"id": "u1", "epoch": "epoch1", "state": "done", "route": "track", "d01": 312.5},
    }


async def test_an_id_and_a_room_may_hold_whatever_can_be_printed(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    answer = await say(client, id="a/b?c=ü %2F", room="a room/&#1")
    found = await client.get(answer.headers["location"])
    assert found.status_code == 200
    assert (found.json()["id"], found.json()["room"]) == ("a/b?c=ü %2F", "a room/&#1")


async def test_an_id_that_the_agent_does_not_know_is_not_found(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.comes("demo")
    answer = await client.get("/api/say/u9")
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_utterance")


async def test_where_there_is_no_agent_an_unknown_id_cannot_be_asked_about(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.get("/api/say/u9")
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_agent")


async def test_what_was_handed_to_an_agent_that_is_gone_is_lost(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    await say(client)
    gateway.leaves("demo")
    gone = await client.get("/api/say/u1")
    gateway.comes("demo")
    replaced = await client.get("/api/say/u1?room=demo")
    for answer in (gone, replaced):
        assert answer.status_code == 200
        assert (answer.json()["state"], answer.json()["epoch"]) == ("lost", "epoch1")
        assert answer.json()["report"] is None
