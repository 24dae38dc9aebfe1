"""`liba queue` and `liba stop`."""

from __future__ import annotations

from typing import Any

import pytest

from libacli.core.protocol import CANCEL_METHOD, MOVE_METHOD, STATUS_METHOD, STOP_METHOD
from tests.cli.conftest import Shell
from tests.twirp_server import AGENT_GONE, EPOCH, UNKNOWN_METHOD, Answer, TwirpServer, reply

SPEECH = {"name": "speech", "used": 1200, "limit": 100_000, "unit": "characters", "resets_in_s": 3601.0}
AVATAR = {"name": "avatar", "used": 0, "limit": 240.0, "unit": "minutes", "resets_in_s": 7200}
AVATARS_AT_A_TIME = {
    "name": "avatars",
    "used": 2.0,
    "limit": 3.0,
    "unit": "conversations",
    "resets_in_s": 0.0,
}
SPEAKING = {"id": "u1", "state": "audible", "route": "tavus", "chars": 12}
WAITING = [{"id": "u2", "state": "accepted", "chars": 7}, {"id": "u3", "state": "accepted", "chars": 9}]


def queue(**members: Any) -> Answer:
    told = {"epoch": EPOCH, "room": "demo", "agent": "liba", "avatar": "ready", "queue": 0}
    return reply(**told | {"speaking": None, "waiting": [], "caps": [SPEECH, AVATAR]} | members)


def test_the_queue_shows_who_speaks_what_waits_and_what_may_still_be_spent(
    shell: Shell, server: TwirpServer
) -> None:
    server.play(
        "PerformRpc", queue(speaking=SPEAKING, waiting=WAITING, caps=[SPEECH, AVATAR, AVATARS_AT_A_TIME])
    )
    ended = shell.run("queue")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "agent     liba in room demo, epoch epoch-1, avatar ready",
        "cap       speech: 1200 of 100000 characters used, none again in 61 min",
        "cap       avatar: 0 of 240 minutes used",
        "cap       avatars: 2 of 3 conversations used",
        "audible   id=u1  12 characters  tavus",
        "      1.  id=u2  7 characters",
        "      2.  id=u3  9 characters",
    ]
    (asked,) = server.asked("PerformRpc")
    assert asked.body["method"] == STATUS_METHOD


def test_an_agent_that_does_nothing_says_so(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", queue(caps=[]))
    assert shell.run("queue").stdout.splitlines()[1:] == ["idle      nothing is spoken and nothing waits"]


def test_as_json_the_queue_is_what_the_agent_said(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", queue(speaking=SPEAKING, waiting=WAITING))
    ended = shell.run("queue", "--json", "--room", "news")
    assert ended.json["speaking"] == SPEAKING
    assert [waiting["id"] for waiting in ended.json["waiting"]] == ["u2", "u3"]
    assert ended.json["caps"] == [SPEECH, AVATAR]
    assert ended.stdout.startswith('{\n  "')
    assert {asked.body["room"] for asked in server.requests} == {"news"}


def test_stop_names_what_it_ended(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", reply(epoch=EPOCH, stopped=["u1", "u2"]))
    ended = shell.run("stop")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "stopped  id=u1\nstopped  id=u2\n", "")
    (asked,) = server.asked("PerformRpc")
    assert asked.body["method"] == STOP_METHOD


def test_to_stop_nothing_is_no_failure(shell: Shell) -> None:
    ended = shell.run("stop")
    assert (ended.code, ended.stdout) == (0, "")
    assert ended.stderr == "nothing was spoken and nothing waited\n"
    assert shell.run("stop", "--json").json == {"stopped": []}


@pytest.mark.parametrize("command", ["stop", "queue"])
def test_without_an_agent_there_is_nothing_to_ask_and_none_is_sent_for(
    shell: Shell, server: TwirpServer, command: str
) -> None:
    server.participants = []
    ended = shell.run(command, "--room", "news")
    assert (ended.code, ended.stdout) == (5, "")
    assert ended.stderr.startswith("liba: no agent named 'liba' is in room 'news' - ")
    assert server.asked("CreateDispatch") == []


@pytest.mark.parametrize("command", ["stop", "queue"])
def test_an_agent_that_left_meanwhile_is_none(shell: Shell, server: TwirpServer, command: str) -> None:
    server.play("PerformRpc", AGENT_GONE)
    assert shell.run(command).code == 5


@pytest.mark.parametrize("command", ["stop", "queue"])
def test_who_may_not_ask_is_told(shell: Shell, server: TwirpServer, command: str) -> None:
    refusal = reply(epoch=EPOCH, rejected="unauthorized", message="the signature has expired")
    server.play("PerformRpc", refusal)
    ended = shell.run(command)
    assert ended.code == 6
    assert "the agent refused: the signature has expired" in ended.stderr


def test_an_id_from_outside_drives_no_terminal_and_makes_no_line(shell: Shell, server: TwirpServer) -> None:
    evil = "u\x1b[2J\nidle"
    server.play("PerformRpc", queue(speaking=SPEAKING | {"id": evil}), reply(epoch=EPOCH, stopped=[evil]))
    for command, lines in (("queue", 4), ("stop", 1)):
        told = shell.run(command).stdout
        assert "\x1b" not in told
        assert len(told.splitlines()) == lines


@pytest.mark.parametrize("command", ["stop", "queue"])
def test_each_shows_by_example_how_it_is_used(shell: Shell, command: str) -> None:
    assert f"liba {command} --room demo" in shell.run(command, "--help").stdout


def report(id: str = "u2", **members: Any) -> Answer:
    return reply(**{"epoch": EPOCH, "id": id, "state": "accepted"} | members)


def test_a_line_is_cancelled_by_its_id(shell: Shell, server: TwirpServer) -> None:
    ended_so = {"state": "interrupted", "reason": "cancelled"}
    server.play("PerformRpc", report(**ended_so), report(**ended_so, journaled=False), report(**ended_so))
    ended = shell.run("queue", "cancel", "u2", "--room", "demo")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "cancelled  id=u2\n", "")
    assert "not written down" in shell.run("queue", "cancel", "u2").stdout
    assert shell.run("queue", "cancel", "u2", "--json").json["reason"] == "cancelled"
    assert {asked.body["method"] for asked in server.asked("PerformRpc")} == {CANCEL_METHOD}


@pytest.mark.parametrize(
    ("flags", "body"),
    [
        (["--first"], {"to": "first"}),
        (["--last"], {"to": "last"}),
        (["--before", "u3"], {"before": "u3"}),
    ],
)
def test_a_line_is_moved_and_its_place_is_the_result(
    shell: Shell, server: TwirpServer, flags: list[str], body: dict[str, str]
) -> None:
    server.play("PerformRpc", report(position=1, priority=5))
    ended = shell.run("queue", "move", "u2", *flags)
    assert (ended.code, ended.stdout) == (0, "moved  id=u2  position=1  priority=5\n")
    (asked,) = server.asked("PerformRpc")
    assert asked.body["method"] == MOVE_METHOD
    assert asked.rpc.items() >= ({"id": "u2"} | body).items()


@pytest.mark.parametrize("flags", [[], ["--first", "--last"], ["--last", "--before", "u3"], ["--before", ""]])
def test_a_move_to_nowhere_is_a_wrong_command_line(
    shell: Shell, server: TwirpServer, flags: list[str]
) -> None:
    ended = shell.run("queue", "move", "u2", *flags)
    assert (ended.code, server.requests) == (2, [])
    assert "liba queue shows the ids" in ended.stderr


def test_a_pause_says_how_many_wait_and_how_long_it_lasts(shell: Shell, server: TwirpServer) -> None:
    told = {"epoch": EPOCH, "paused": True, "changed": True, "queue": 2}
    server.play("PerformRpc", reply(**told), reply(**told | {"changed": False, "journaled": True}))
    ended = shell.run("queue", "pause")
    assert ended.stdout == "paused  2 waiting\n"
    assert ended.stderr == "it ends with this agent: without say.journal the next one begins at once\n"
    again = shell.run("queue", "pause")
    assert (again.stdout, again.stderr) == ("paused  2 waiting  (it was already)\n", "")
    server.play("PerformRpc", *[reply(**told | {"paused": False})] * 2)
    assert shell.run("queue", "resume").stdout == "resumed  2 waiting\n"
    assert shell.run("queue", "resume", "--json").json == {"paused": False, "changed": True, "queue": 2}
    server.play("PerformRpc", reply(**told | {"paused": False, "changed": False}))
    assert shell.run("queue", "resume").stdout == "not paused  2 waiting\n"


def test_a_queue_that_is_paused_says_so(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", queue(caps=[], paused=True, waiting=WAITING[:1]))
    assert shell.run("queue").stdout.splitlines()[1:] == [
        "paused    nothing begins until `liba queue resume`",
        "      1.  id=u2  7 characters",
    ]


def test_the_room_may_stand_before_the_command_of_the_queue_or_after_it(
    shell: Shell, server: TwirpServer
) -> None:
    told = reply(epoch=EPOCH, paused=True, changed=True, queue=0)
    for words in (("queue", "--room", "news", "pause"), ("queue", "pause", "--room", "news")):
        server.requests.clear()
        server.play("PerformRpc", told)
        assert shell.run(*words).code == 0
        assert {asked.body["room"] for asked in server.requests} == {"news"}


@pytest.mark.parametrize("words", [["cancel", "u2"], ["move", "u2", "--first"], ["pause"], ["resume"]])
@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (UNKNOWN_METHOD, 6, "liba: the agent is too old: it has no liba."),
        (
            reply(epoch=EPOCH, rejected="being_spoken", message="it is being spoken"),
            6,
            "liba: the agent refused",
        ),
        (AGENT_GONE, 5, "liba: "),
        (reply(epoch=EPOCH), 1, "liba: the agent's answer is not understood"),
    ],
    ids=["old", "refused", "gone", "odd"],
)
def test_what_the_queue_does_not_do_is_told_in_one_line(
    shell: Shell, server: TwirpServer, words: list[str], answer: Answer, code: int, told: str
) -> None:
    server.play("PerformRpc", answer)
    ended = shell.run("queue", *words)
    assert (ended.code, ended.stdout) == (code, "")
    assert ended.stderr.startswith(told) and ended.stderr.count("\n") == 1
