"""The HTTP side of the local avatar, with rooms that are only pretended."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from libacli.errors import UnreachableError, UsageError
from libacli.local.avatar_manners import Manners
from libacli.local.avatar_pals import STOCK_FACE, STOCK_PAL
from libacli.local.avatar_presence import Invitation
from libacli.local.avatar_service import AvatarService, serving

KEY = "key-of-the-test"
TOKEN = "token-of-a-room"
URL = "ws://127.0.0.1:7880"
CONVERSATIONS = "/v2/conversations"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class PretendedRooms:
    """Takes part in nothing, until it is told why to leave."""

    def __init__(self) -> None:
        self.invitations: list[Invitation] = []
        self.left = 0
        self.ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def attend(self, invitation: Invitation) -> str:
        self.invitations.append(invitation)
        try:
            return await asyncio.shield(self.ending)
        finally:
            self.left += 1


class Client:
    """Calls a service; answers are a status and what the JSON says."""

    def __init__(self, session: aiohttp.ClientSession, service: AvatarService, rooms: PretendedRooms) -> None:
        self.rooms = rooms
        self._session = session
        self._base_url = service.base_url

    async def call(
        self, method: str, path: str, told: Any = None, *, key: str | None = KEY
    ) -> tuple[int, Any]:
        headers = {} if key is None else {"x-api-key": key}
        data = told if told is None or isinstance(told, bytes) else json.dumps(told)
        async with self._session.request(
            method, self._base_url + path, data=data, headers=headers
        ) as response:
            is_json = response.content_type == "application/json"
            return response.status, await response.json() if is_json else None

    async def create(self, properties: dict[str, Any] | None = None, **fields: Any) -> str:
        status, answer = await self.call("POST", CONVERSATIONS, body(properties, **fields))
        assert status == 200, answer
        return str(answer["conversation_id"])

    async def ended(self, conversation_id: str) -> str:
        """Waits for the end of a conversation and gives its reason."""
        async with asyncio.timeout(5):
            while True:
                _, told = await self.call("GET", f"{CONVERSATIONS}/{conversation_id}?verbose=true")
                if told["status"] == "ended":
                    return str(told["shutdown_reason"])
                await asyncio.sleep(0.01)


def body(properties: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The body of a request that creates a conversation; fields that are None are left out."""
    whole = {"livekit_ws_url": URL, "livekit_room_token": TOKEN} | (properties or {})
    told = {"pal_id": "p1", "face_id": "f1", "properties": whole} | fields
    return {name: value for name, value in told.items() if value is not None}


@pytest.fixture
async def client(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Client]:
    caplog.set_level(logging.DEBUG)
    rooms = PretendedRooms()
    async with client_of(Manners(max_conversations=3), rooms) as client:
        yield client
    assert TOKEN not in caplog.text
    assert KEY not in caplog.text


@asynccontextmanager
async def client_of(manners: Manners, rooms: PretendedRooms | None = None) -> AsyncIterator[Client]:
    rooms = rooms or PretendedRooms()
    service = AvatarService(SecretStr(KEY), rooms.attend, manners=manners)
    async with serving(service), aiohttp.ClientSession() as session:
        yield Client(session, service, rooms)


ENDPOINTS = [
    ("POST", CONVERSATIONS),
    ("GET", CONVERSATIONS),
    ("GET", f"{CONVERSATIONS}/local-none"),
    ("POST", f"{CONVERSATIONS}/local-none/end"),
    ("DELETE", f"{CONVERSATIONS}/local-none"),
    ("GET", "/v2/nonsense"),
    ("POST", "/v2/pals"),
    ("GET", "/v2/personas"),
    ("GET", "/v2/faces/f1"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize("key", [None, "", "another", "kéy", KEY + "x"])
async def test_nothing_is_told_without_the_right_key(
    client: Client, method: str, path: str, key: str | None
) -> None:
    assert await client.call(method, path, key=key) == (401, {"message": "Invalid access token"})


async def test_a_conversation_is_told_as_tavus_tells_it(client: Client) -> None:
    status, told = await client.call("POST", CONVERSATIONS, body(conversation_name="morning"))
    assert status == 200
    assert told.pop("conversation_id").startswith("local-")
    assert told.pop("conversation_url").startswith("http://127.0.0.1:")
    assert told.pop("created_at") == told.pop("updated_at")
    assert told == {
        "conversation_name": "morning",
        "status": "active",
        "face_id": "f1",
        "replica_id": "f1",
        "pal_id": "p1",
        "persona_id": "p1",
        "callback_url": "",
    }


async def test_the_avatar_is_sent_where_the_request_says_and_the_answer_does_not_wait(client: Client) -> None:
    await client.create({"participant_left_timeout": 7, "participant_absent_timeout": 8})
    await asyncio.sleep(0)
    assert client.rooms.invitations == [Invitation(URL, TOKEN, 7, 8, "f1")]
    assert TOKEN not in repr(client.rooms.invitations)


async def test_the_older_names_of_face_and_pal_are_taken(client: Client) -> None:
    wanted = body(face_id=None, pal_id=None, replica_id="f2", persona_id="p2")
    _, told = await client.call("POST", CONVERSATIONS, wanted)
    assert (told["face_id"], told["pal_id"]) == ("f2", "p2")


async def test_a_test_conversation_joins_nothing_and_has_ended(client: Client) -> None:
    status, told = await client.call("POST", CONVERSATIONS, {"pal_id": "p1", "test_mode": True})
    assert (status, told["status"]) == (200, "ended")
    assert not client.rooms.invitations


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (b"[" * 30_000, "JSON"),
        ([], "object"),
        (body(face_id=None, pal_id=None), "face_id"),
        (body(face_id=["f1"]), "face_id"),
        (body(pal_id=1), "pal_id"),
        (body(conversation_name={"a": 1}), "conversation_name"),
        (body(test_mode="yes"), "test_mode"),
        (body() | {"properties": []}, "properties"),
        (body({"livekit_ws_url": ""}), "properties.livekit_ws_url"),
        (body({"livekit_ws_url": "file:///etc/passwd"}), "properties.livekit_ws_url"),
        (body({"livekit_ws_url": 7}), "properties.livekit_ws_url"),
        (body({"livekit_room_token": ""}), "properties.livekit_room_token"),
        (body({"livekit_room_token": None}), "properties.livekit_room_token"),
        (body({"max_call_duration": 0}), "properties.max_call_duration"),
        (body({"max_call_duration": 3601}), "properties.max_call_duration"),
        (body({"max_call_duration": True}), "properties.max_call_duration"),
        (body({"max_call_duration": "60"}), "properties.max_call_duration"),
        (body({"participant_left_timeout": -1}), "properties.participant_left_timeout"),
        (body({"participant_absent_timeout": 1.5}), "properties.participant_absent_timeout"),
    ],
)
async def test_what_is_wrong_with_a_request_is_named(client: Client, wrong: Any, named: str) -> None:
    status, told = await client.call("POST", CONVERSATIONS, wrong)
    assert status == 400
    assert named in told["error"]
    assert not client.rooms.invitations


async def test_a_body_of_more_than_64_kib_is_refused(client: Client) -> None:
    status, _ = await client.call("POST", CONVERSATIONS, body(conversation_name="n" * 70_000))
    assert status == 413


@pytest.mark.parametrize(("method", "path"), [one for one in ENDPOINTS if "none" in one[1]])
async def test_an_unknown_conversation_is_answered_as_tavus_does(
    client: Client, method: str, path: str
) -> None:
    assert await client.call(method, path) == (400, {"error": "Invalid conversation_id"})


async def test_other_paths_and_methods_are_answered_in_json(client: Client) -> None:
    assert await client.call("GET", "/v2/nonsense") == (404, {"error": "Not Found"})
    assert await client.call("PUT", CONVERSATIONS) == (405, {"error": "Method Not Allowed"})


async def test_an_end_makes_the_avatar_leave_and_a_second_one_changes_nothing(client: Client) -> None:
    one = await client.create()
    for _ in range(2):
        assert (await client.call("POST", f"{CONVERSATIONS}/{one}/end"))[0] == 200
        assert await client.ended(one) == "end_conversation_endpoint_hit"
    assert client.rooms.left == len(client.rooms.invitations)


async def test_what_is_deleted_has_ended_and_is_unknown(client: Client) -> None:
    one = await client.create()
    await asyncio.sleep(0)
    assert (await client.call("DELETE", f"{CONVERSATIONS}/{one}"))[0] == 204
    assert (await client.call("GET", f"{CONVERSATIONS}/{one}"))[0] == 400
    assert client.rooms.left == 1


async def test_the_list_has_the_newest_first_by_status_and_page(client: Client) -> None:
    ended, old, new = [await client.create(conversation_name=name) for name in ("ended", "old", "new")]
    await client.call("POST", f"{CONVERSATIONS}/{ended}/end")

    async def listed(query: str) -> tuple[list[str], int]:
        status, told = await client.call("GET", CONVERSATIONS + query)
        assert status == 200
        return [one["conversation_id"] for one in told["data"]], told["total_count"]

    assert await listed("") == ([new, old, ended], 3)
    assert await listed("?status=active") == ([new, old], 2)
    assert await listed("?status=ended&limit=100") == ([ended], 1)
    assert await listed("?limit=2&page=2") == ([ended], 3)
    assert await listed("?page=9") == ([], 3)
    assert await listed("?page=0&limit=2") == ([new, old], 3)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "page=-1", "page=", "page=%D9%A3", "status=open"]
)
async def test_a_wrong_question_for_the_list_is_named(client: Client, query: str) -> None:
    status, told = await client.call("GET", f"{CONVERSATIONS}?{query}")
    assert status == 400
    assert query.partition("=")[0] in told["error"]


async def test_too_many_at_a_time_are_refused_until_one_has_ended(client: Client) -> None:
    first, *_ = [await client.create() for _ in range(3)]
    refused = (400, {"message": "User has reached maximum concurrent conversations"})
    assert await client.call("POST", CONVERSATIONS, body()) == refused
    await client.create(test_mode=True)
    await client.call("POST", f"{CONVERSATIONS}/{first}/end")
    await client.create()


async def test_a_conversation_ends_when_its_time_is_up(client: Client) -> None:
    one = await client.create({"max_call_duration": 1})
    assert await client.ended(one) == "max_call_duration reached"
    assert client.rooms.left == 1


async def test_a_conversation_ends_when_the_avatar_leaves(client: Client) -> None:
    one = await client.create()
    client.rooms.ending.set_result("room_closed")
    assert await client.ended(one) == "room_closed"


@pytest.mark.parametrize("error", [UnreachableError("cannot join"), RuntimeError("unexpected")])
async def test_a_room_that_fails_ends_its_own_conversation_only(client: Client, error: Exception) -> None:
    one = await client.create()
    client.rooms.ending.set_exception(error)
    assert await client.ended(one) == "exception_encountered_during_conversation_startup"
    client.rooms.ending = asyncio.get_running_loop().create_future()
    await client.create()


async def test_the_end_of_the_service_ends_all_conversations() -> None:
    rooms = PretendedRooms()
    service = AvatarService(SecretStr(KEY), rooms.attend)
    async with serving(service), aiohttp.ClientSession() as session:
        client = Client(session, service, rooms)
        for _ in range(2):
            await client.create()
        await asyncio.sleep(0)
    assert rooms.left == 2


async def test_a_port_that_is_taken_is_said() -> None:
    rooms = PretendedRooms()
    async with serving(AvatarService(SecretStr(KEY), rooms.attend)) as service:
        port = int(service.base_url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"port {port} is taken"):
            async with serving(AvatarService(SecretStr(KEY), rooms.attend, port=port)):
                pass


async def test_why_a_conversation_ended_is_told_to_who_wants_to_know_more(client: Client) -> None:
    one = await client.create()
    path = f"{CONVERSATIONS}/{one}"
    assert (await client.call("GET", f"{path}?verbose=true"))[1]["events"] == []
    await client.call("POST", f"{path}/end")
    _, told = await client.call("GET", f"{path}?verbose=true")
    (event,) = told["events"]
    assert (event["event_type"], event["conversation_id"]) == ("system.shutdown", one)
    assert event["properties"]["shutdown_reason"] == told["shutdown_reason"]
    assert not {"events", "shutdown_reason"} & (await client.call("GET", path))[1].keys()


async def test_a_cap_that_nobody_announced_ends_a_conversation_early() -> None:
    async with client_of(Manners(longest_call_s=0.05)) as client:
        one = await client.create({"max_call_duration": 3600})
        assert await client.ended(one) == "max_call_duration reached"


async def test_more_requests_than_the_account_may_make_are_refused() -> None:
    async with client_of(Manners(requests_per_minute=2)) as client:
        for _ in range(2):
            assert (await client.call("GET", CONVERSATIONS))[0] == 200
        assert await client.call("GET", CONVERSATIONS) == (429, {"message": "Too many requests"})
        assert (await client.call("GET", CONVERSATIONS, key="another"))[0] == 401


async def test_a_page_has_no_more_than_the_service_gives_however_much_is_asked_for() -> None:
    async with client_of(Manners(page_limit=2)) as client:
        ids = [await client.create() for _ in range(3)]
        pages = [(await client.call("GET", f"{CONVERSATIONS}?limit=100&page={page}"))[1] for page in (1, 2)]
    assert [one["conversation_id"] for page in pages for one in page["data"]] == ids[::-1]
    assert [page["total_count"] for page in pages] == [3, 3]


FITTING = {"pipeline_mode": "echo", "layers": {"transport": {"transport_type": "livekit"}}}


@pytest.mark.parametrize(("pal", "face"), [("pal", "face"), ("persona", "replica")])
async def test_a_pal_is_made_told_listed_and_deleted_in_either_spelling(
    client: Client, pal: str, face: str
) -> None:
    asked = FITTING | {f"{pal}_name": "mine", f"default_{face}_id": "f1"}
    status, made = await client.call("POST", f"/v2/{pal}s", asked)
    assert (status, made.keys()) == (200, {f"{pal}_id", f"{pal}_name", "created_at"})
    path = f"/v2/{pal}s/{made[f'{pal}_id']}"
    status, told = await client.call("GET", path)
    (whole,) = told["data"]
    assert status == 200
    assert {name: whole[name] for name in asked} == asked
    assert whole[f"{pal}_id"] == made[f"{pal}_id"]
    _, listed = await client.call("GET", f"/v2/{pal}s?limit=25&page=0&{pal}_type=user")
    assert listed == {"data": [whole], "total_count": 1}
    assert (await client.call("DELETE", path))[0] == 204
    assert (await client.call("DELETE", path)) == (400, {"error": f"Invalid {pal}_id"})


async def test_one_pal_may_be_told_by_itself() -> None:
    async with client_of(Manners(wraps_pal=False)) as client:
        _, told = await client.call("GET", f"/v2/pals/{STOCK_PAL.id}")
    assert (told["pal_id"], told["pipeline_mode"]) == (STOCK_PAL.id, "echo")


async def test_the_stock_pal_is_there_fits_and_stays(client: Client) -> None:
    _, told = await client.call("GET", "/v2/pals?pal_type=system")
    (stock,) = told["data"]
    assert (stock["pal_id"], stock["default_face_id"]) == (STOCK_PAL.id, STOCK_FACE)
    assert (stock["pipeline_mode"], stock["layers"]) == tuple(FITTING.values())
    assert (await client.call("DELETE", f"/v2/pals/{STOCK_PAL.id}"))[0] == 400


async def test_faces_are_told_in_either_spelling(client: Client) -> None:
    for face in ("face", "replica"):
        _, listed = await client.call("GET", f"/v2/{face}s?limit=1")
        _, told = await client.call("GET", f"/v2/{face}s/{STOCK_FACE}")
        assert listed == {"data": [told], "total_count": 1}
        assert (told[f"{face}_id"], told["status"]) == (STOCK_FACE, "completed")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (b"{", "JSON"),
        (FITTING, "default_face_id"),
        ({"default_face_id": "f1"}, "system_prompt"),
        ({"default_face_id": "f1", "pipeline_mode": "silent"}, "pipeline_mode"),
        ({"default_face_id": 1} | FITTING, "default_face_id"),
        ({"default_face_id": "f1", "pal_name": ["mine"]} | FITTING, "pal_name"),
        ({"default_face_id": "f1", "pipeline_mode": "echo", "layers": ["livekit"]}, "layers"),
        ({"default_face_id": "f1", "pipeline_mode": "echo", "layers": {"transport": "livekit"}}, "layers"),
    ],
)
async def test_what_is_wrong_with_a_pal_is_named(client: Client, wrong: Any, named: str) -> None:
    status, told = await client.call("POST", "/v2/pals", wrong)
    assert status == 400
    assert named in told["error"]


WRONG_LAYERS: list[dict[str, Any]] = [
    {"pipeline_mode": "full", "system_prompt": "Be kind.", "layers": FITTING["layers"]},
    {"pipeline_mode": "echo", "layers": {}},
    {"pipeline_mode": "echo", "layers": {"transport": {"transport_type": "daily"}}},
]


@pytest.mark.parametrize("layers", WRONG_LAYERS)
@pytest.mark.parametrize("properties", [{}, {"livekit_ws_url": ""}], ids=["livekit", "nowhere"])
async def test_with_a_pal_that_does_not_fit_a_conversation_runs_and_nobody_comes(
    client: Client, layers: dict[str, Any], properties: dict[str, Any]
) -> None:
    _, made = await client.call("POST", "/v2/pals", layers | {"default_face_id": "f1"})
    wanted = {"pal_id": made["pal_id"], "face_id": None}
    one = await client.create(properties, **wanted)
    assert (await client.call("GET", f"{CONVERSATIONS}/{one}"))[1]["status"] == "active"
    brief = await client.create(properties | {"participant_absent_timeout": 0}, **wanted)
    assert await client.ended(brief) == "participant_absent_timeout reached"
    assert (await client.call("POST", f"{CONVERSATIONS}/{one}/end"))[0] == 200
    assert not client.rooms.invitations


async def test_a_pal_without_a_face_needs_one(client: Client) -> None:
    _, made = await client.call("POST", "/v2/personas", FITTING)
    faceless = {"persona_id": made["persona_id"], "pal_id": None, "face_id": None}
    status, told = await client.call("POST", CONVERSATIONS, body(**faceless))
    assert (status, "face_id" in told["error"]) == (400, True)
    await client.create(persona_id=made["persona_id"], pal_id=None)


async def test_a_pal_of_an_account_elsewhere_is_one_that_fits(client: Client) -> None:
    await client.create(pal_id="p-of-mine")
    await client.create(pal_id=None)
    await asyncio.sleep(0)
    assert len(client.rooms.invitations) == 2
    _, told = await client.call("GET", "/v2/pals/p-of-mine")
    assert (told["data"][0]["pipeline_mode"], told["data"][0]["layers"]) == tuple(FITTING.values())
    assert (await client.call("GET", "/v2/faces/f-of-mine"))[0] == 200


async def test_a_strict_account_knows_its_own_pals_and_faces_only() -> None:
    async with client_of(Manners(takes_any_pal=False)) as client:
        unknown = (400, {"error": "Invalid pal_id"})
        assert await client.call("GET", "/v2/pals/p-of-mine") == unknown
        assert await client.call("POST", CONVERSATIONS, body(pal_id="p-of-mine")) == unknown
        assert await client.call("GET", "/v2/replicas/x") == (400, {"error": "Invalid replica_id"})
        await client.create(pal_id=None)
        await asyncio.sleep(0)
        assert not client.rooms.invitations
        await client.create(pal_id=STOCK_PAL.id)
        await asyncio.sleep(0)
        assert len(client.rooms.invitations) == 1


async def test_ended_conversations_are_forgotten_in_the_long_run(client: Client) -> None:
    rooms = client.rooms
    service = AvatarService(SecretStr(KEY), rooms.attend, kept_conversations=2)
    async with serving(service), aiohttp.ClientSession() as session:
        other = Client(session, service, rooms)
        active = await other.create()
        for _ in range(3):
            last = await other.create(test_mode=True)
    assert list(service.conversations) == [active, last]
