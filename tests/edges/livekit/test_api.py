from __future__ import annotations

import base64
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.api import LiveKitApi, Participant, RoomRow
from libacli.errors import (
    CredentialsError,
    LibaError,
    NoAgentError,
    OverQuotaError,
    RefusedError,
    UnreachableError,
)
from tests.twirp_server import (
    AGENT_GONE,
    API_KEY,
    API_SECRET,
    DENIED,
    EXPIRED,
    NO_RESPONSE,
    OLD_SERVER,
    TOO_LARGE,
    UNIMPLEMENTED,
    UNKNOWN_KEY,
    UNKNOWN_METHOD,
    WRONG_SECRET,
    Answer,
    TwirpServer,
    agent,
    over_quota,
    people,
    rpc_error,
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


async def test_everybody_in_the_room_is_listed(server: TwirpServer, api: LiveKitApi) -> None:
    viewer = {"sid": "PA_v", "identity": "viewer", "state": "JOINING", "kind": "STANDARD"}
    server.participants = [viewer, agent("liba-agent-1")]
    assert await api.participants("demo") == [
        Participant("viewer", is_active=False, is_agent=False, attributes={}, may_hear=True, sid="PA_v"),
        Participant(
            "liba-agent-1", is_active=True, is_agent=True, attributes={"liba.agent": "liba"}, sid="PA_x"
        ),
    ]


@pytest.mark.parametrize(
    ("kind", "permission", "may_hear"),
    [
        ("STANDARD", {"can_subscribe": True}, True),
        ("STANDARD", {"can_subscribe": False}, False),
        ("SIP", {"can_subscribe": True}, True),
        ("CONNECTOR", {}, True),
        ("EGRESS", {"can_subscribe": True}, False),
        ("INGRESS", {"can_subscribe": True}, False),
        ("AGENT", {"can_subscribe": True}, False),
        ("BRIDGE", {"can_subscribe": True}, False),
    ],
)
async def test_viewers_and_phone_callers_hear_and_nobody_else(
    server: TwirpServer, api: LiveKitApi, kind: str, permission: dict[str, bool], may_hear: bool
) -> None:
    server.participants = [{"sid": "PA_1", "identity": "one", "kind": kind, "permission": permission}]
    (one,) = await api.participants("demo")
    assert one.may_hear is may_hear


async def test_a_room_that_is_not_there_has_nobody_in_it(server: TwirpServer, api: LiveKitApi) -> None:
    server.play("ListParticipants", Answer({}))
    assert await api.participants("demo") == []


async def test_each_call_may_do_just_what_it_needs_in_just_that_room(
    server: TwirpServer, api: LiveKitApi
) -> None:
    await api.participants("one")
    await api.participants("two")
    grants = [request.grants for request in server.requests]
    assert [made["video"] for made in grants] == [
        {"roomAdmin": True, "room": "one"},
        {"roomAdmin": True, "room": "two"},
    ]
    assert all(made["iss"] == API_KEY and made["exp"] - made["nbf"] == 60 for made in grants)


async def test_an_agent_counts_when_it_is_active_and_says_its_name(
    server: TwirpServer, api: LiveKitApi
) -> None:
    impostor = agent("viewer") | {"kind": "STANDARD"}
    server.participants = [agent("a", state="JOINING"), agent("b", name="other"), impostor]
    assert await api.find_agent("demo", "liba") is None
    server.participants.append(agent("c"))
    assert await api.find_agent("demo", "liba") == "c"


async def test_of_two_agents_the_one_that_came_last_counts_as_a_killed_one_is_listed_for_a_while(
    server: TwirpServer, api: LiveKitApi
) -> None:
    server.participants = [
        agent("killed") | {"joined_at_ms": "1000"},
        agent("living") | {"joined_at_ms": "2000"},
        agent("killed-too") | {"joined_at_ms": "1500"},
    ]
    assert await api.find_agent("demo", "liba") == "living"


async def test_a_participant_is_put_out_and_one_that_has_left_is_none_of_our_business(
    server: TwirpServer, api: LiveKitApi
) -> None:
    server.play("RemoveParticipant", Answer({}), twirp_error(404, "not_found", "no such participant"))
    await api.remove("demo", "liba-agent-1")
    await api.remove("demo", "liba-agent-1")
    assert server.requests[0].body == {"room": "demo", "identity": "liba-agent-1"}


async def test_rooms_are_listed_all_or_those_that_are_named(server: TwirpServer, api: LiveKitApi) -> None:
    row = {"name": "one", "sid": "RM_1", "num_participants": 2, "num_publishers": 1}
    server.play("ListRooms", Answer({"rooms": [row, {"name": "two"}]}), Answer({}))
    assert await api.rooms() == [RoomRow("one", "RM_1", people=2, publishers=1), RoomRow("two")]
    assert await api.rooms(["three"]) == []
    assert [asked.body for asked in server.requests] == [{}, {"names": ["three"]}]
    assert server.requests[0].grants["video"] == {"roomList": True}


async def test_whether_an_agent_was_sent_for_is_found(server: TwirpServer, api: LiveKitApi) -> None:
    server.play(
        "ListDispatch",
        Answer({"agent_dispatches": [{"agent_name": "other"}, {"agent_name": "liba"}]}),
        Answer({"agent_dispatches": [{"agent_name": "other"}]}),
        twirp_error(404, "not_found", "no such room"),
    )
    assert [await api.was_sent_for(room, "liba") for room in ("one", "two", "closed")] == [True, False, False]
    assert server.requests[0].grants["video"] == {"roomAdmin": True, "room": "one"}


async def test_a_dispatch_is_made_and_taken_back(server: TwirpServer, api: LiveKitApi) -> None:
    assert await api.dispatch("demo", "liba") == "AD_1"
    await api.withdraw("demo", "AD_1")
    assert [(request.method, request.body) for request in server.requests] == [
        ("CreateRoom", {"name": "demo", "sync_streams": True}),
        ("CreateDispatch", {"room": "demo", "agent_name": "liba"}),
        ("DeleteDispatch", {"room": "demo", "dispatch_id": "AD_1"}),
    ]


async def test_a_participant_is_asked_and_its_reply_comes_back(server: TwirpServer, api: LiveKitApi) -> None:
    server.play("PerformRpc", Answer({"payload": "pong"}))
    assert await api.perform_rpc("demo", "liba-agent-1", "liba.say", "ping", timeout_s=2) == "pong"
    assert server.requests[0].body == {
        "room": "demo",
        "destination_identity": "liba-agent-1",
        "method": "liba.say",
        "payload": "ping",
        "response_timeout_ms": 2000,
    }


async def test_data_goes_out_reliably_in_base64_and_to_one_participant(
    server: TwirpServer, api: LiveKitApi
) -> None:
    server.play("ListParticipants", people(agent("liba-agent-1"), agent("liba-agent-2") | {"sid": "PA_y"}))
    await api.send_data("demo", "say", "Grüße".encode(), to="liba-agent-2")
    (request,) = server.asked("SendData")
    assert base64.b64decode(request.body["data"]).decode() == "Grüße"
    assert (request.body["kind"], request.body["topic"]) == ("RELIABLE", "say")
    assert request.body["destination_identities"] == ["liba-agent-2"]
    assert request.body["destination_sids"] == ["PA_y"]


@pytest.mark.parametrize("there", [[], [agent("somebody")], [agent("liba-agent-1") | {"sid": ""}]])
async def test_data_for_somebody_who_is_not_there_is_sent_to_nobody(
    server: TwirpServer, api: LiveKitApi, there: list[dict[str, Any]]
) -> None:
    server.play("ListParticipants", people(*there))
    with pytest.raises(NoAgentError):
        await api.send_data("demo", "say", b"A secret line.", to="liba-agent-1")
    assert server.asked("SendData") == []


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (UNKNOWN_KEY, CredentialsError, "does not know this API key"),
        (WRONG_SECRET, CredentialsError, "does not belong to this key"),
        (EXPIRED, CredentialsError, "expired or too new"),
        (DENIED, CredentialsError, "refused the credentials"),
        (Answer("invalid token: eyJhbGciOi, error: unexpected claims", 401), CredentialsError, "credentials"),
        (Answer("x, error: token is not valid yet (nbf)", 401), CredentialsError, "expired or too new"),
        (Answer("RpcError 1400 in a page", 502), UnreachableError, "status 502"),
        (AGENT_GONE, NoAgentError, "did not answer"),
        (UNKNOWN_METHOD, RefusedError, "does not take such requests"),
        (TOO_LARGE, RefusedError, "too large"),
        (NO_RESPONSE, NoAgentError, "not there any more"),
        (twirp_error(500, "internal", "no data channel"), NoAgentError, "not there any more"),
        (twirp_error(502, "internal", "?"), UnreachableError, "status 502"),
        (OLD_SERVER, RefusedError, "has no PerformRpc"),
        (twirp_error(404, "not_found", "participant does not exist"), NoAgentError, "no such room"),
        (twirp_error(412, "failed_precondition", "?"), LibaError, "412 .failed_precondition."),
        (over_quota("3600"), OverQuotaError, "takes no more calls"),
        (Answer("<html>", 429, headers={"Retry-After": "3600"}), OverQuotaError, "takes no more calls"),
        (UNIMPLEMENTED, RefusedError, "has no PerformRpc"),
        (Answer("<html>", 501), RefusedError, "has no PerformRpc"),
        (
            rpc_error(1403, "RPC not supported by server", status=501, kind="unimplemented"),
            RefusedError,
            "has no",
        ),
        (rpc_error(1502, "Response timeout", status=408, kind="canceled"), NoAgentError, "did not answer"),
        (twirp_error(408, "deadline_exceeded", "request timed out"), NoAgentError, "not there any more"),
    ],
)
async def test_fault_62_an_answer_other_than_200_is_explained(
    server: TwirpServer, api: LiveKitApi, answer: Answer, kind: type[LibaError], words: str
) -> None:
    server.play("PerformRpc", answer)
    with pytest.raises(kind, match=words) as caught:
        await api.perform_rpc("demo", "liba-agent-1", "liba.say", "ping")
    assert "eyJ" not in str(caught.value)
    assert len(server.requests) == 1


async def test_the_reason_of_a_refusal_is_a_word_for_machines(server: TwirpServer, api: LiveKitApi) -> None:
    reasons = []
    for answer in (UNKNOWN_METHOD, TOO_LARGE, OLD_SERVER, UNIMPLEMENTED):
        server.play("PerformRpc", answer)
        with pytest.raises(RefusedError) as caught:
            await api.perform_rpc("demo", "liba-agent-1", "liba.say", "ping")
        reasons.append(caught.value.reason)
    assert reasons == ["unsupported_method", "too_large", "unsupported_server", "unsupported_server"]


@pytest.mark.parametrize(
    ("status", "page"), [(200, "<html>Welcome</html>"), (200, "[" * 100_000), (404, "<html>Not found</html>")]
)
async def test_a_web_site_is_not_taken_for_livekit(
    server: TwirpServer, api: LiveKitApi, status: int, page: str
) -> None:
    server.play("ListParticipants", Answer(page, status))
    with pytest.raises(UnreachableError, match="does not know LiveKit's ListParticipants"):
        await api.participants("demo")


async def test_a_port_where_nobody_listens_is_told_with_the_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        async with LiveKitApi(LiveKitCredentials(url, API_KEY, SecretStr(API_SECRET))) as api:
            with pytest.raises(
                UnreachableError, match=f"cannot reach LiveKit at {url.replace('ws', 'http')}"
            ):
                await api.participants("demo")


@pytest.mark.parametrize(
    ("code", "asked", "calls"), [(socket.EAI_AGAIN, 2, 1), (socket.EAI_NONAME, 1, 0)], ids=["later", "none"]
)
async def test_dns_hiccup_a_resolver_that_is_not_ready_is_asked_again_and_a_name_that_is_none_is_not(
    server: TwirpServer, monkeypatch: pytest.MonkeyPatch, code: int, asked: int, calls: int
) -> None:
    port = urlsplit(server.credentials.url).port
    there = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
    names: list[object] = []

    def resolve(host: object, *_: object, **__: object) -> object:
        names.append(host)
        if len(names) == 1:
            raise socket.gaierror(code, "not now")
        return there

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    server.play("ListParticipants", people(agent()))
    credentials = replace(server.credentials, url=f"ws://lk.test:{port}")
    async with LiveKitApi(credentials) as api:
        with nullcontext() if calls else pytest.raises(UnreachableError, match="cannot reach LiveKit"):
            await api.participants("demo")
    assert (len(names), len(server.requests)) == (asked, calls)


@pytest.mark.parametrize("url", ["ws://[::1", "ws://host:port", "ws://a\nb", "ws://", "ws://a..b"])
async def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(UnreachableError):
        async with LiveKitApi(LiveKitCredentials(url, API_KEY, SecretStr(API_SECRET))) as api:
            await api.participants("demo")


async def test_a_proxy_is_passed_by_on_this_machine(
    server: TwirpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.play("ListParticipants", people(agent()))
    async with LiveKitApi(server.credentials) as api:
        assert len(await api.participants("demo")) == 1


async def test_f7_a_room_that_it_makes_stays_open_as_long_as_its_avatar(server: TwirpServer) -> None:
    server.play("CreateRoom", Answer({"name": "demo"}))
    async with LiveKitApi(server.credentials, departure_timeout_s=130) as api:
        await api.dispatch("demo", "liba")
    made, dispatched = server.requests
    assert made.method == "CreateRoom"
    assert made.body == {"name": "demo", "sync_streams": True, "departure_timeout": 130}
    assert made.grants["video"] == {"roomCreate": True, "room": "demo"}
    assert dispatched.method == "CreateDispatch"
