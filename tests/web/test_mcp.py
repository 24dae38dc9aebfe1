"""`/mcp` of a real server, asked by the SDK's own client: who may, what he may, what is refused before."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.client import ConnectMode
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from libacli.config import Settings
from libacli.errors import ConfigError
from libacli.web.app import make_app
from libacli.web.keys import new_key
from tests.web.conftest import connected, enter
from tests.web.fake_gateway import FakeGateway
from tests.web.serving import serving

KEY, ENTRY = new_key("laptop")
WRONG_KEY, _ = new_key("laptop")
BY_KEY = {"Authorization": f"Bearer {KEY}"}
OPEN = Settings(serve_mcp=True)
KEYED = Settings(serve_mcp=True, serve_keys=(ENTRY,))
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPTS = {"Accept": "application/json, text/event-stream"}
EVERY_ERA: list[ConnectMode] = ["auto", "legacy"]
"""Of the protocol: with a handshake, and without."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def sse_starlette_watches_no_longer(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """The library that writes the SDK's event streams has a task for each loop, which nobody owns."""
    yield
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__qualname__", "") == "_shutdown_watcher":
            task.cancel()


@asynccontextmanager
async def model(
    port: int, headers: Mapping[str, str] | None = None, mode: ConnectMode = "auto"
) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as web,
        Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=web), mode=mode) as client,
    ):
        yield client


def told(answer: CallToolResult) -> str:
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("mode", EVERY_ERA)
async def test_a_model_speaks_waits_looks_and_stops(gateway: FakeGateway, mode: ConnectMode) -> None:
    gateway.is_ideal = True
    steps: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        steps.append(message)

    async with serving(gateway, OPEN) as (port, _), model(port, mode=mode) as client:
        said = await client.call_tool(
            "say", {"text": "**Hello.**", "wait": "done"}, progress_callback=on_progress
        )
        queue = await client.call_tool("queue", {})
        status = await client.call_tool("status", {"id": said.structured_content["id"]})
        stopped = await client.call_tool("stop", {})
        mistake = await client.call_tool("say", {"text": "..."})
    assert said.structured_content["state"] == status.structured_content["state"] == "done"
    assert steps == ["accepted", "done"]
    assert gateway.agents["demo"].requests[0].text == "Hello."
    assert queue.structured_content["has_agent"] and stopped.structured_content["stopped"] == []
    assert (mistake.is_error, told(mistake)) == (True, "there is no letter or digit in the text")


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {WRONG_KEY}"}], ids=["none", "wrong"])
async def test_without_the_right_key_nobody_is_let_in(gateway: FakeGateway, headers: dict[str, str]) -> None:
    async with serving(gateway, KEYED) as (port, _), httpx2.AsyncClient(trust_env=False) as web:
        answer = await web.post(f"http://127.0.0.1:{port}/mcp", json=PING, headers=headers | ACCEPTS)
    assert (answer.status_code, answer.json()["error"]["data"]["reason"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert gateway.calls == []


async def test_with_the_right_key_it_is_said_on_the_keys_account(gateway: FakeGateway) -> None:
    async with serving(gateway, KEYED) as (port, _), model(port, BY_KEY) as client:
        said = await client.call_tool("say", {"text": "Hello.", "interrupt": True})
    assert not said.is_error
    assert gateway.callers == ["key laptop"]


async def test_a_session_may_no_more_than_over_http(gateway: FakeGateway) -> None:
    app = make_app(KEYED, gateway)
    async with connected(app, client="127.0.0.1") as web:
        watching = await enter(app, "demo", can_say=False)
        speaking = await enter(app, "demo", can_say=True)
        asked: list[tuple[dict[str, str], str, dict[str, Any], str]] = [
            (watching, "say", {"text": "Hello."}, "this session may watch, not speak"),
            (speaking, "say", {"text": "Hello.", "room": "news"}, "this session is for another room"),
            (speaking, "say", {"text": "Hello.", "interrupt": True}, "this session may not stop, interrupt"),
            (speaking, "say", {"text": "Hello.", "priority": 1}, "this session may not stop, interrupt"),
            (speaking, "stop", {}, "this session may not stop, interrupt"),
            (watching, "queue", {"room": "news"}, "this session is for another room"),
            (watching, "status", {"id": "u1", "room": "news"}, "this session is for another room"),
        ]
        for session, tool, arguments, line in asked:
            answer = await call(web, tool, arguments, session)
            assert answer["isError"] is True
            assert answer["content"][0]["text"].startswith(line), tool
        assert gateway.calls == []
        assert (await call(web, "say", {"text": "Hello."}, speaking))["isError"] is False
    assert gateway.calls == ["say"]


async def call(
    web: httpx2.AsyncClient, tool: str, arguments: dict[str, Any], headers: Mapping[str, str]
) -> dict[str, Any]:
    """The result of a call, without the SDK."""
    params = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = await web.post("/mcp", json=body, headers={**headers, **ACCEPTS})
    assert answer.status_code == 200, answer.text
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    result: dict[str, Any] = httpx2.Response(200, text=lines[-1] if lines else answer.text).json()["result"]
    return result


async def test_pages_of_other_websites_and_other_names_of_this_machine_are_refused(
    gateway: FakeGateway,
) -> None:
    async with connected(make_app(OPEN, gateway)) as web:
        foreign = await web.post("/mcp", json=PING, headers={"Origin": "https://evil.example", **ACCEPTS})
        rebound = await web.post("/mcp", json=PING, headers={"Host": "evil.example", **ACCEPTS})
        large = await web.post("/mcp", json={**PING, "params": {"x": "x" * 70_000}}, headers=ACCEPTS)
        form = await web.post("/mcp", data={"jsonrpc": "2.0"}, headers=ACCEPTS)
        opened = await web.get("/mcp", headers=ACCEPTS)
        well = await web.post("/mcp", json=PING, headers=ACCEPTS)
    answers = (foreign, rebound, large, form, opened, well)
    assert [answer.status_code for answer in answers] == [403, 421, 413, 415, 405, 200]


@pytest.mark.parametrize("mode", EVERY_ERA)
async def test_what_is_refused_at_the_door_is_told_in_words_that_a_model_can_act_on(
    gateway: FakeGateway, mode: ConnectMode
) -> None:
    async with serving(gateway, KEYED) as (port, _):
        async with model(port, BY_KEY, mode=mode) as client:
            with pytest.raises(MCPError, match="the body may have 65536 bytes"):
                await client.call_tool("say", {"text": "word " * 20_000})
        with pytest.RaisesGroup(
            pytest.RaisesExc(MCPError, match="a key is needed - send it as"), flatten_subgroups=True
        ):
            async with model(port, mode=mode):
                pass


async def test_who_asks_too_often_is_told_when_to_ask_again(gateway: FakeGateway) -> None:
    settings = Settings(serve_mcp=True, serve_rate_per_minute=1)
    async with connected(make_app(settings, gateway)) as web:
        answers = [await web.post("/mcp", json=PING, headers=ACCEPTS) for _ in range(3)]
    error = answers[-1].json()["error"]
    assert answers[-1].headers["Retry-After"] and "(again in " in error["message"]
    assert error["data"]["reason"] == "rate_limited"


async def test_a_page_of_a_website_that_is_listed_may_ask_as_the_protocol_has_it(
    gateway: FakeGateway,
) -> None:
    settings = Settings(serve_mcp=True, serve_origins=("https://app.example",))
    asked = "authorization,content-type,mcp-method,mcp-name,mcp-protocol-version"
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": asked,
    }
    async with connected(make_app(settings, gateway)) as web:
        assert (await web.options("/mcp", headers=preflight)).status_code == 200


async def test_requests_count_as_those_of_the_http_api(gateway: FakeGateway) -> None:
    settings = Settings(serve_mcp=True, serve_rate_per_minute=2)
    async with connected(make_app(settings, gateway)) as web:
        answers = [await web.post("/mcp", json=PING, headers=ACCEPTS) for _ in range(4)]
    assert [answer.status_code for answer in answers][-1] == 429


async def test_unless_it_is_asked_for_there_is_nothing_there(gateway: FakeGateway) -> None:
    async with connected(make_app(Settings(), gateway)) as web:
        assert (await web.post("/mcp", json=PING, headers=ACCEPTS)).status_code == 404


async def test_whoever_waits_is_answered_when_the_server_is_about_to_end(gateway: FakeGateway) -> None:
    app = make_app(OPEN, gateway)
    async with connected(app) as web, asyncio.TaskGroup() as tasks:
        asked = {"text": "Hello.", "wait": "done"}
        waiting = tasks.create_task(call(web, "say", asked, {}))
        while not gateway.waiting:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        app.services.answer_now.set()
        assert (await waiting)["structuredContent"]["state"] == "accepted"


@pytest.mark.parametrize("mode", EVERY_ERA)
async def test_for_who_has_left_nothing_is_waited_for_and_nothing_is_stopped(
    gateway: FakeGateway, mode: ConnectMode
) -> None:
    async with serving(gateway, OPEN) as (port, _):
        async with model(port, mode=mode) as client, asyncio.TaskGroup() as tasks:
            asked = {"text": "Hello.", "wait": "done"}
            calling = tasks.create_task(client.call_tool("say", asked))
            while not gateway.waiting:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            calling.cancel()
        async with asyncio.timeout(20):
            while gateway.waiting:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
    assert "stop" not in gateway.calls


async def test_where_the_sdk_is_not_installed_the_server_says_how_to_install_it(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigError) as caught:
        make_app(OPEN, gateway)
    assert caught.value.hint == "pip install 'libacli[mcp]'"
