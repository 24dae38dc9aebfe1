"""The client of the avatar service, against one that misbehaves over real HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from livekit.plugins.tavus.api import DEFAULT_FACE_ID, DEFAULT_PAL_ID
from pydantic import SecretStr

from libacli.edges.avatars.port import Invitation
from libacli.edges.avatars.tavus import Tavus
from libacli.errors import AvatarError
from libacli.local.avatar_manners import Manners
from tests.avatar_contracts import AvatarServiceContract
from tests.faulty_avatar import Create, FaultyAvatar, Script


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def service() -> AsyncIterator[FaultyAvatar]:
    async with FaultyAvatar(Script(joins=False), manners=Manners(max_conversations=100)) as service:
        yield service


@asynccontextmanager
async def client_of(service: FaultyAvatar, *, timeout_s: float = 15.0) -> AsyncIterator[Tavus]:
    async with Tavus(service.api_key, service.base_url, face_id="f", timeout_s=timeout_s) as tavus:
        yield tavus


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[Tavus]:
    """The client of a server that takes every connection and answers with these bytes, or never."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Tavus(SecretStr("key"), f"http://127.0.0.1:{port}", timeout_s=0.3) as tavus:
            yield tavus


async def create(tavus: Tavus, name: str = "liba-1-1") -> str:
    return await tavus.create(
        Invitation(name=name, room_url="ws://x", identity="avatar", token="t", max_duration_s=60)
    )


async def refused(tavus: Tavus) -> AvatarError:
    with pytest.raises(AvatarError) as caught:
        await create(tavus)
    return caught.value


class TestTavus(AvatarServiceContract):
    @pytest.fixture
    async def service(self, service: FaultyAvatar) -> AsyncIterator[Tavus]:
        async with client_of(service) as tavus:
            yield tavus

    @pytest.fixture
    async def refusing(self) -> AsyncIterator[Tavus]:
        async with FaultyAvatar(Script(create=402)) as service, client_of(service) as tavus:
            yield tavus

    @pytest.fixture
    async def unreachable(self) -> AsyncIterator[Tavus]:
        async with Tavus(SecretStr("key"), "http://127.0.0.1:9", face_id="f") as tavus:
            yield tavus

    @pytest.fixture
    async def one_stream(self) -> AsyncIterator[Tavus]:
        manners = Manners(max_conversations=1)
        async with (
            FaultyAvatar(Script(joins=False), manners=manners) as service,
            client_of(service) as tavus,
        ):
            yield tavus


async def test_f13_a_conversation_that_begins_when_nobody_waits_any_more_is_found_by_its_name(
    service: FaultyAvatar,
) -> None:
    service.play(Script(create="late", create_after_s=1.0, joins=False))
    async with client_of(service, timeout_s=0.5) as impatient, client_of(service) as tavus:
        assert (await refused(impatient)).is_unsure
        async with asyncio.timeout(30):
            while not service.active:  # noqa: ASYNC110 - it happens in the service
                await asyncio.sleep(0.05)
        (late,) = await tavus.find("liba-1-1")
        await tavus.end(late)
    assert service.active == []


async def test_fault_02_a_lost_answer_is_not_asked_for_again_and_what_it_began_is_found_by_its_name(
    service: FaultyAvatar,
) -> None:
    service.play(Script(create="lost", joins=False))
    async with client_of(service) as tavus:
        error = await refused(tavus)
        assert (error.is_unsure, error.is_permanent, service.creates) == (True, False, 1)
        (begun,) = await tavus.active()
        assert begun.name == "liba-1-1"
        assert await tavus.find("liba-1-1") == [begun.id]
        await tavus.end(begun.id)
    assert service.active == []


UNREADABLE = [b"", b"not json", b"[]", b"null", b"{}", b'"\xff"', b'{"id": 1}', b"[" * 100_000]
NO_IDS = [b'{"conversation_id": %s}' % told for told in (b"null", b'""', b"5", b"{}")]
NO_LISTS = [
    b'{"data": %s}' % told for told in (b"1", b"null", b"[1]", b"[{}]", b'[{"conversation_id": null}]')
]


def answer_of(body: bytes, *, status: bytes = b"200 OK", kind: bytes = b"application/json") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (status, kind, len(body)) + body


@pytest.mark.parametrize("body", [*UNREADABLE, *NO_IDS])
async def test_fault_02_an_answer_that_cannot_be_read_may_have_begun_a_conversation(body: bytes) -> None:
    async with answering(answer_of(body)) as tavus:
        error = await refused(tavus)
    assert (error.is_unsure, error.reason) == (True, "answer not understood")
    assert "TAVUS_BASE_URL" in error.hint


@pytest.mark.parametrize("body", [*UNREADABLE, *NO_LISTS])
async def test_a_list_that_cannot_be_read_is_an_error(body: bytes) -> None:
    async with answering(answer_of(body)) as tavus:
        with pytest.raises(AvatarError, match="answer not understood"):
            await tavus.active()


PAGE = b"<html>Sign in to this network</html>"


async def test_a_page_in_place_of_an_answer_is_told_as_what_it_is() -> None:
    async with answering(answer_of(PAGE, kind=b"text/html")) as tavus:
        assert (await refused(tavus)).reason == "answer not understood"


@pytest.mark.parametrize("body", [PAGE, b"", b"{}"])
@pytest.mark.parametrize("status", [b"400 Bad Request", b"404 Not Found"])
async def test_a_conversation_has_not_ended_because_somebody_on_the_way_says_no(
    status: bytes, body: bytes
) -> None:
    async with answering(answer_of(body, status=status, kind=b"text/html")) as tavus:
        with pytest.raises(AvatarError):
            await tavus.end("c1")


async def test_fault_03_a_request_that_is_read_and_never_answered_ends_at_its_bound(
    service: FaultyAvatar,
) -> None:
    service.play(Script(create="hang"))
    asked_at = time.monotonic()
    async with client_of(service, timeout_s=0.3) as tavus:
        error = await refused(tavus)
    assert 0.3 <= time.monotonic() - asked_at < 1.3
    assert (error.reason, error.is_unsure, service.creates) == ("no answer", True, 1)


@pytest.mark.parametrize("call", [create, Tavus.active, lambda tavus: tavus.end("c1")])
async def test_fault_03_a_port_that_never_answers_holds_no_call_longer_than_its_bound(call: object) -> None:
    asked_at = time.monotonic()
    async with answering(None) as tavus:
        with pytest.raises(AvatarError, match="no answer"):
            await call(tavus)  # type: ignore[operator]
    assert time.monotonic() - asked_at < 1.3


def test_fault_03_the_bound_is_below_what_a_fallback_may_take() -> None:
    assert Tavus(SecretStr("key"), "http://127.0.0.1:1")._timeout_s == 15.0


@pytest.mark.parametrize(
    ("status", "hint", "is_permanent"), [(401, "TAVUS_API_KEY", True), (402, "out of credits", False)]
)
async def test_fault_46_a_refusal_says_what_to_change_and_whether_it_is_for_good(
    service: FaultyAvatar, status: Create, hint: str, is_permanent: bool
) -> None:
    service.play(Script(create=status))
    async with client_of(service) as tavus:
        error = await refused(tavus)
    assert (error.reason, error.status, error.is_unsure) == (str(status), status, False)
    assert error.is_permanent is is_permanent
    assert hint in error.hint
    assert service.creates == 1


@pytest.mark.parametrize(
    ("create", "status", "reason"), [("too many", 400, "400 too many conversations"), (429, 429, "429")]
)
async def test_fault_47_too_many_conversations_or_requests_may_pass(
    service: FaultyAvatar, create: Create, status: int, reason: str
) -> None:
    service.play(Script(create=create))
    async with client_of(service) as tavus:
        error = await refused(tavus)
    assert error.status == status
    assert (error.reason, error.is_permanent, error.is_unsure) == (reason, False, False)
    assert service.creates == 1


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ScriptedTavus:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self, **handlers: Handler) -> None:
        self.base_url = ""
        self.bodies: list[dict[str, Any]] = []
        self.queries: list[dict[str, str]] = []
        self._handlers = handlers

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.can_read_body:
            self.bodies.append(await request.json())
        self.queries.append(dict(request.query))
        name = f"{request.method.lower()}_{request.path.split('/')[2]}"
        return await self._handlers[name](request)


@asynccontextmanager
async def scripted(**handlers: Handler) -> AsyncIterator[ScriptedTavus]:
    peer, app = ScriptedTavus(**handlers), web.Application()
    app.router.add_route("*", "/v2/{path:.*}", peer.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        peer.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield peer
    finally:
        await runner.cleanup()


@asynccontextmanager
async def asking(peer: ScriptedTavus, **ids: Any) -> AsyncIterator[Tavus]:
    async with Tavus(SecretStr("tavus-key-canary"), peer.base_url, **ids) as tavus:
        yield tavus


def saying(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    async def say(request: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    return say


BEGUN = saying({"conversation_id": "c1"})


async def test_f7_the_avatar_is_asked_to_stay_when_viewers_leave_and_not_to_wait_for_any() -> None:
    async with scripted(post_conversations=BEGUN) as peer, asking(peer) as tavus:
        await tavus.create(
            Invitation(
                name="liba-1",
                room_url="ws://x",
                identity="avatar",
                token="t",
                max_duration_s=3600,
                idle_timeout_s=120,
            )
        )
    properties = peer.bodies[0]["properties"]
    assert properties["participant_left_timeout"] == 120
    assert properties["participant_absent_timeout"] >= properties["max_call_duration"] == 3600


@pytest.mark.parametrize(
    ("ids", "sent"),
    [
        ({}, {"face_id": DEFAULT_FACE_ID, "pal_id": DEFAULT_PAL_ID}),
        ({"face_id": "f1"}, {"face_id": "f1", "pal_id": DEFAULT_PAL_ID}),
        ({"pal_id": "p1"}, {"pal_id": "p1"}),
        ({"face_id": "f1", "pal_id": "p1"}, {"face_id": "f1", "pal_id": "p1"}),
    ],
)
async def test_f14_a_key_alone_has_the_face_and_the_pal_that_tavus_has_for_all(
    ids: dict[str, str], sent: dict[str, str]
) -> None:
    async with scripted(post_conversations=BEGUN) as peer, asking(peer, **ids) as tavus:
        await create(tavus)
    assert {name: peer.bodies[0][name] for name in ("face_id", "pal_id") if name in peer.bodies[0]} == sent


async def test_f10_the_services_words_come_along_without_key_and_token() -> None:
    body = {"error": "key tavus-key-canary, token room-token-canary: there was an error"}
    async with scripted(post_conversations=saying(body, 400)) as peer, asking(peer) as tavus:
        with pytest.raises(AvatarError) as caught:
            await tavus.create(
                Invitation(
                    name="liba-1",
                    room_url="ws://x",
                    identity="avatar",
                    token="room-token-canary",
                    max_duration_s=60,
                )
            )
    assert str(caught.value).endswith("400 (key [secret], token [secret]: there was an error)")
    assert not caught.value.is_permanent


async def test_f10_what_the_service_says_of_when_to_ask_again_is_read() -> None:
    busy = saying({}, 429, {"Retry-After": "17"})
    async with scripted(post_conversations=busy) as peer, asking(peer) as tavus:
        assert (await refused(tavus)).retry_in_s == 17


@pytest.mark.parametrize("rows", [10, 100])
@pytest.mark.parametrize("is_total_told", [True, False])
async def test_f13_conversations_are_found_on_every_page(rows: int, is_total_told: bool) -> None:
    running = [{"conversation_id": f"c{n}", "conversation_name": f"liba-{n}"} for n in range(205)]

    async def page(request: web.Request) -> web.Response:
        start = (int(request.query["page"]) - 1) * rows
        total = {"total_count": len(running)} if is_total_told else {}
        return web.json_response({"data": running[start : start + rows]} | total)

    async with scripted(get_conversations=page) as peer, asking(peer) as tavus:
        assert await tavus.find("liba-204") == ["c204"]
        assert len(await tavus.active()) == 205
    assert all(query["status"] == "active" for query in peer.queries)


async def test_f13_a_service_that_knows_no_pages_is_asked_for_the_second_one_once() -> None:
    row = {"conversation_id": "c1", "conversation_name": "liba-1"}
    async with scripted(get_conversations=saying({"data": [row]})) as peer, asking(peer) as tavus:
        assert [one.id for one in await tavus.active()] == ["c1"]
    assert len(peer.queries) == 2


async def test_f13_a_service_that_gives_fewer_at_a_time_is_asked_for_as_many_as_it_gives() -> None:
    async def picky(request: web.Request) -> web.Response:
        if "limit" in request.query:
            return web.json_response({"error": "limit must be at most 50"}, status=400)
        return web.json_response({"data": [{"conversation_id": "c1"}], "total_count": 1})

    async with scripted(get_conversations=picky) as peer, asking(peer) as tavus:
        assert [one.id for one in await tavus.active()] == ["c1"]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"status": "ended", "shutdown_reason": "max_call_duration reached"}, "max_call_duration reached"),
        (
            {"events": [{"event_type": "system.shutdown", "properties": {"shutdown_reason": "x"}}]},
            "x",
        ),
        ({"status": "active"}, ""),
        ({"events": [5, {"event_type": "system.shutdown"}]}, ""),
    ],
)
async def test_f8_why_a_conversation_has_ended_is_read(told: dict[str, Any], reason: str) -> None:
    async with scripted(get_conversations=saying(told)) as peer, asking(peer) as tavus:
        assert await tavus.end_reason("c1") == reason
    assert peer.queries == [{"verbose": "true"}]


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (saying({"data": [{"pipeline_mode": "full", "layers": {}}]}), "pipeline_mode is 'full'"),
        (saying({"error": "Invalid pal_id"}, 400), ""),
        (saying([]), ""),
    ],
)
async def test_f11_the_pal_is_read_and_one_that_is_not_told_of_is_not_blamed(
    answer: Handler, wrong: str
) -> None:
    async with scripted(get_pals=answer) as peer, asking(peer, pal_id="p1") as tavus:
        said = await tavus.misfit()
    assert (wrong in said) if wrong else said == ""


async def test_f12_a_pal_is_made_of_echo_and_livekit_and_nothing_else() -> None:
    async with scripted(post_pals=saying({"pal_id": "p-1"})) as peer, asking(peer, face_id="f1") as tavus:
        assert await tavus.create_pal("liba") == "p-1"
    assert peer.bodies == [
        {
            "pal_name": "liba",
            "default_face_id": "f1",
            "pipeline_mode": "echo",
            "layers": {"transport": {"transport_type": "livekit"}},
        }
    ]


@pytest.mark.parametrize("pal_id", ["p1; rm -rf x", "$(id)", "", 5])
async def test_f12_what_is_no_id_is_not_given_to_a_shell(pal_id: Any) -> None:
    async with scripted(post_pals=saying({"pal_id": pal_id})) as peer, asking(peer) as tavus:
        with pytest.raises(AvatarError):
            await tavus.create_pal("liba")


async def test_what_nobody_took_was_surely_not_begun() -> None:
    async with Tavus(SecretStr("key"), "http://127.0.0.1:9") as tavus:
        error = await refused(tavus)
    assert (error.reason, error.status, error.is_unsure) == ("not reachable", None, False)
