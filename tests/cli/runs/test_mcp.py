"""`liba mcp`, as a model's client starts it: a real child process, asked by the SDK's own client."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.client import ConnectMode
from mcp_types import CallToolResult, TextContent

from tests.cli.conftest import Shell
from tests.started import started
from tests.twirp_server import API_SECRET, TwirpServer

pytestmark = pytest.mark.live

EVERY_ERA: list[ConnectMode] = ["auto", "legacy"]
"""Of the protocol: with a handshake, and without."""

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def model(shell: Shell, log: Path, mode: ConnectMode = "auto", **env: str) -> AsyncIterator[Client]:
    """The client of a model, with a `liba mcp` of its own."""
    with log.open("w") as errors:
        started = StdioServerParameters(
            command=sys.executable,
            args=["-m", "libacli", "mcp", "--room", "demo"],
            env=dict(os.environ) | shell.env | env,
            cwd=shell.folder,
        )
        async with Client(stdio_client(started, errlog=errors), mode=mode) as client:
            yield client


def told(answer: CallToolResult) -> str:
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("mode", EVERY_ERA)
async def test_a_model_speaks_looks_and_stops_and_is_told_what_is_wrong(
    shell: Shell, server: TwirpServer, tmp_path: Path, mode: ConnectMode
) -> None:
    log = tmp_path / "stderr"
    async with model(shell, log, mode, LIBA_LOG_LEVEL="debug") as client:
        assert client.server_info and client.server_info.name == "liba"
        said = await client.call_tool("say", {"text": "Hello **there**.", "wait": "done"})
        status = await client.call_tool("status", {"id": said.structured_content["id"]})
        queue = await client.call_tool("queue", {})
        voices = await client.call_tool("voices", {})
        stopped = await client.call_tool("stop", {"room": "news"})
        mistake = await client.call_tool("say", {"text": "..."})
        server.participants = []
        nobody = await client.call_tool("stop", {"room": "empty"})
    assert said.structured_content["state"] == status.structured_content["state"] == "done"
    assert queue.structured_content["has_agent"] and voices.structured_content["voices"]
    assert stopped.structured_content == {"room": "news", "stopped": [said.structured_content["id"]]}
    assert (mistake.is_error, told(mistake)) == (True, "there is no letter or digit in the text")
    assert told(nobody).startswith("no agent named 'liba' is in room 'empty' - `liba say` brings one there")
    assert [asked.rpc["text"] for asked in server.asked("PerformRpc") if "text" in asked.rpc] == [
        "Hello there."
    ]
    assert API_SECRET not in log.read_text()


def exchange(shell: Shell, *requests: dict[str, Any] | str) -> subprocess.CompletedProcess[bytes]:
    """What `liba mcp` answers to lines, until its input ends."""
    lines = [request if isinstance(request, str) else json.dumps(request) for request in requests]
    return subprocess.run(
        [sys.executable, "-m", "libacli", "mcp"],
        input="".join(f"{line}\n" for line in lines).encode(),
        capture_output=True,
        cwd=shell.folder,
        env=dict(os.environ) | shell.env,
        timeout=60,
        check=False,
    )


def test_nothing_but_the_protocol_is_on_its_output_and_it_ends_with_its_input(shell: Shell) -> None:
    shell.env["LIBA_LOG_LEVEL"] = "debug"
    ended = exchange(shell, "nonsense", "\U0001f389", HELLO)
    assert ended.returncode == 0, ended.stderr
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert answers and all(answer["jsonrpc"] == "2.0" for answer in answers)
    assert any(answer.get("result", {}).get("serverInfo", {}).get("name") == "liba" for answer in answers)


def test_ctrl_c_ends_it_while_its_input_is_open(shell: Shell) -> None:
    with started(
        [sys.executable, "-m", "libacli", "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=shell.folder,
        env=dict(os.environ) | shell.env,
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(HELLO).encode() + b"\n")
        process.stdin.flush()
        assert b'"liba"' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.communicate() == (b"", b"")


def test_what_is_not_set_is_told_before_anything_is_served(bare_shell: Shell) -> None:
    ended = bare_shell.run("mcp")
    assert (ended.code, ended.stdout) == (3, "")
    assert ended.stderr.count("\n") == 1


def test_without_the_sdk_the_next_step_is_to_install_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    ended = shell.run("mcp")
    assert (ended.code, ended.stdout) == (3, "")
    assert ended.stderr == "liba: MCP is not installed - pip install 'libacli[mcp]'\n"


def test_the_help_shows_how_a_client_starts_it(shell: Shell) -> None:
    shown = shell.run("mcp", "--help").stdout
    blocks = [json.loads(line) for line in shown.splitlines() if line.strip().startswith("{")]
    assert [next(iter(block)) for block in blocks] == ["mcpServers", "servers"]
    for block in blocks:
        (servers,) = block.values()
        assert servers["liba"] == {"command": "liba", "args": ["mcp"]}


def test_half_a_character_is_answered_as_any_text(shell: Shell, server: TwirpServer) -> None:
    call = {"name": "say", "arguments": {"text": "Half \ud83d of \U0001f600 one \\ud800."}}
    asked = [HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"}]
    asked.append({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call})
    with started(
        [sys.executable, "-m", "libacli", "mcp"],
        env=dict(os.environ) | shell.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write("".join(f"{json.dumps(one)}\n" for one in asked).encode())
        process.stdout.readline()
        assert select.select([process.stdout], [], [], 20)[0], "it does not answer"
        answer = json.loads(process.stdout.readline())
    assert not answer["result"]["isError"], answer
