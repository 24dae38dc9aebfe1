"""The client of the avatar service, against one that misbehaves over real HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from libacli.edges.avatars.port import Invitation
from libacli.edges.avatars.tavus import Tavus
from libacli.errors import AvatarError
from tests.avatar_contracts import AvatarServiceContract
from tests.faulty_avatar import Create, FaultyAvatar, Script


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def service() -> AsyncIterator[FaultyAvatar]:
    async with FaultyAvatar(Script(joins=False)) as service:
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


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"null", b"{}", b'{"id": 1}', b"[" * 100_000])
async def test_fault_02_an_answer_that_cannot_be_read_may_have_begun_a_conversation(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    async with answering(head % len(body) + body) as tavus:
        assert (await refused(tavus)).is_unsure


@pytest.mark.parametrize(
    "body", [b"not json", b"[]", b'{"data": 1}', b'{"data": [1]}', b'{"data": [{}]}', b"[" * 100_000]
)
async def test_a_list_that_cannot_be_read_is_an_error(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    async with answering(head % len(body) + body) as tavus:
        with pytest.raises(AvatarError):
            await tavus.active()


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


@pytest.mark.parametrize(("status", "hint"), [(401, "TAVUS_API_KEY"), (402, "out of credits")])
async def test_fault_46_a_refusal_for_good_is_final_and_says_what_to_change(
    service: FaultyAvatar, status: Create, hint: str
) -> None:
    service.play(Script(create=status))
    async with client_of(service) as tavus:
        error = await refused(tavus)
    assert (error.reason, error.status, error.is_permanent, error.is_unsure) == (
        str(status),
        status,
        True,
        False,
    )
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


async def test_what_nobody_took_was_surely_not_begun() -> None:
    async with Tavus(SecretStr("key"), "http://127.0.0.1:9") as tavus:
        error = await refused(tavus)
    assert (error.reason, error.status, error.is_unsure) == ("not reachable", None, False)
