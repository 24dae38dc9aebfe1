from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from libacli.core.agent_status import AgentStatus
from libacli.core.event import AgentFacts, Report
from tests.cli.conftest import Shell
from tests.terminal import terminal
from tests.twirp_server import NO_RESPONSE, UNKNOWN_KEY, Answer, TwirpServer, reply

ROOMS = Answer({"rooms": [{"name": "demo", "sid": "RM_1", "num_participants": 2}]})
SPOKEN = Report("u1", "done", route="track", d01=20.0, d12=1.0, d2a=60.0)
STATUS = AgentStatus(
    AgentFacts(room="demo", agent="liba", epoch="e1", avatar="ready"), ended=(SPOKEN,), worker="pod-1"
)


@pytest.fixture
def server(server: TwirpServer) -> TwirpServer:
    server.play("ListRooms", *[ROOMS] * 100)
    server.play("PerformRpc", *[reply(**STATUS.encode())] * 2)
    return server


def test_once_it_is_a_table_and_a_document_with_json(shell: Shell, server: TwirpServer) -> None:
    shown = shell.run("metrics", "watch", "--all", "--once")
    assert shown.code == 0
    assert "rooms 1   agents 1" in shown.stdout
    assert any(line.split()[:3] == ["demo", "liba", "pod-1"] for line in shown.stdout.splitlines())
    told = shell.run("metrics", "watch", "--all", "--once", "--json").json
    assert (told["rooms"], told["agents"], told["p95"]) == (1, 1, 81.0)
    assert [(line["room"], line["worker"], line["latency"]) for line in told["lines"]] == [
        ("demo", "pod-1", 81.0)
    ]
    assert {asked.method for asked in server.requests} == {"ListRooms", "ListParticipants", "PerformRpc"}


def test_elsewhere_than_on_a_terminal_each_change_is_a_line(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", *[NO_RESPONSE] * 100)  # after two answers nobody is there
    with subprocess.Popen(
        [sys.executable, "-m", "libacli", "metrics", "watch", "--all", "--json"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=os.environ | shell.env, cwd=shell.folder,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert [(line["room"], line["state"]) for line in told] == [("demo", "idle"), ("demo", "gone")]


def test_on_a_terminal_it_is_one_table_and_q_ends_it(shell: Shell, server: TwirpServer) -> None:
    command = [sys.executable, "-m", "libacli", "metrics", "watch", "--all"]
    with terminal(command, env={**os.environ, **shell.env}, cwd=shell.folder) as seen:
        seen.until("q quits")
        seen.until("pod-1")
        seen.type("q")
        assert seen.process.wait(60) == 0


def test_on_a_terminal_that_can_show_no_table_it_prints_lines(shell: Shell, server: TwirpServer) -> None:
    command = [sys.executable, "-m", "libacli", "metrics", "watch", "--all"]
    with terminal(command, env={**os.environ, **shell.env}, cwd=shell.folder, term="dumb") as seen:
        seen.until("worker=pod-1")
        seen.process.send_signal(signal.SIGINT)
        assert seen.process.wait(60) == 130


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--all --room demo", "leave --room"),
        ("--all --show-text", "leave --room"),
        ("--calls 100", "--calls goes with --all"),
        ("--all --calls 3", "20"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(bare_shell: Shell, arguments: str, words: str) -> None:
    ended = bare_shell.run("metrics", "watch", *arguments.split())
    assert ended.code == 2
    assert words in ended.stderr


@pytest.mark.parametrize("more", [(), ("--once",)])
def test_a_server_that_refuses_is_an_error_with_its_code(bare_shell: Shell, more: tuple[str, ...]) -> None:
    with TwirpServer() as server:
        server.play("ListRooms", UNKNOWN_KEY)
        bare_shell.env |= server.env
        ended = bare_shell.run("metrics", "watch", "--all", *more)
    assert (ended.code, ended.stdout) == (3, "")
    assert "LIVEKIT_API_KEY" in ended.stderr
