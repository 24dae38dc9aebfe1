from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from libacli.core.emotion import EMOTIONS
from libacli.core.protocol import SAY_METHOD
from tests.cli.conftest import Shell
from tests.terminal import terminal
from tests.twirp_server import (
    API_KEY,
    API_SECRET,
    DENIED,
    EPOCH,
    OLD_SERVER,
    UNKNOWN_KEY,
    WRONG_SECRET,
    Answer,
    TokenBucket,
    TwirpServer,
    over_quota,
    reply,
    twirp_error,
)

CANARY = "The canary sings at midnight."


def said(server: TwirpServer) -> list[dict[str, Any]]:
    """The say requests that came, without their signatures."""
    calls = [asked for asked in server.asked("PerformRpc") if asked.body["method"] == SAY_METHOD]
    return [{name: value for name, value in asked.rpc.items() if name != "auth"} for asked in calls]


def test_what_is_accepted_is_acknowledged_in_one_line(shell: Shell, server: TwirpServer) -> None:
    ended = shell.run("say", CANARY, "--id", "u1")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "accepted  id=u1  position=0\n", "")
    assert said(server) == [{"text": CANARY, "id": "u1"}]


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_pipeline_that_has_a_trace_has_the_text_in_it(shell: Shell, server: TwirpServer) -> None:
    assert (
        shell.run("say", "Hello.", "--id", "u1", env={"TRACEPARENT": PARENT, "TRACESTATE": "a=b"}).code == 0
    )
    assert (
        shell.run("say", "Hello.", "--id", "u2", env={"TRACEPARENT": "nonsense", "TRACESTATE": "a=b"}).code
        == 0
    )
    assert said(server) == [
        {"text": "Hello.", "id": "u1", "traceparent": PARENT, "tracestate": "a=b"},
        {"text": "Hello.", "id": "u2"},
    ]


def test_as_json_the_acknowledgement_has_members(shell: Shell) -> None:
    ended = shell.run("say", "Hello.", "--id", "u1", "--json")
    assert ended.json == {"id": "u1", "level": "accepted", "epoch": EPOCH, "position": 0, "duplicate": False}
    assert ended.stdout.startswith('{\n  "id"')


def test_each_run_makes_an_id_of_its_own(shell: Shell) -> None:
    ids = {shell.run("say", "Hello.", "--json").json["id"] for _ in range(3)}
    assert len(ids) == 3


def test_an_id_said_twice_is_spoken_once(shell: Shell, server: TwirpServer) -> None:
    shell.run("say", "Hello.", "--id", "u1")
    assert "(was known already)" in shell.run("say", "Hello.", "--id", "u1").stdout
    assert server.queued == ["u1"]


def test_every_flag_reaches_the_agent(shell: Shell, server: TwirpServer) -> None:
    shell.run(
        *("say", "Hello.", "--id", "u1", "--voice", "nova", "--speed", "1.5", "--instructions", "calm"),
        *("--emotion", "anger"),
        *("--ttl", "2.5", "--interrupt", "--priority", "-3", "--room", "news"),
    )
    assert said(server) == [
        {
            "text": "Hello.",
            "id": "u1",
            "voice": "nova",
            "speed": 1.5,
            "instructions": "calm",
            "emotion": "anger",
            "ttl_ms": 2500,
            "interrupt": True,
            "priority": -3,
        }
    ]
    assert {asked.body["room"] for asked in server.requests} == {"news"}


def test_an_emotion_that_there_is_not_is_told_with_those_that_there_are(shell: Shell) -> None:
    ended = shell.run("say", "Hello.", "--emotion", "joy")
    assert (ended.code, ended.stdout) == (2, "")
    assert all(f"'{emotion}'" in ended.stderr for emotion in EMOTIONS)


def test_a_file_is_said_as_it_stands(shell: Shell, server: TwirpServer) -> None:
    (shell.folder / "line.txt").write_text("Grüße,\n世界.\n", encoding="utf-8")
    assert shell.run("say", "--file", "line.txt").code == 0
    assert said(server)[0]["text"] == "Grüße,\n世界."


def test_waiting_for_the_end_tells_the_way_it_took(shell: Shell, server: TwirpServer) -> None:
    server.status |= {"d01": 12.5, "d12": 0.5, "total": 900.0}
    ended = shell.run("say", "Hello.", "--id", "u1", "--wait", "done")
    assert ended.stdout == (
        "done  id=u1  route=fallback  route_reason=not configured  d01=12.5  d12=0.5  total=900.0\n"
    )


def test_waiting_for_the_end_as_json_holds_the_report(shell: Shell, server: TwirpServer) -> None:
    made = shell.run("say", "Hello.", "--id", "u1", "--wait", "done", "--json").json
    assert (made["level"], made["state"], made["route"]) == ("done", "done", "fallback")


def test_an_old_server_gets_a_packet_and_the_output_claims_no_more(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", OLD_SERVER)
    ended = shell.run("say", "Hello.", "--id", "u1")
    assert (ended.code, ended.stdout) == (0, "sent, not confirmed  id=u1\n")
    assert len(server.asked("SendData")) == 1


@pytest.mark.parametrize("flags", [("--wait", "done"), ("--wait", "audible"), ("--require-avatar",)])
def test_an_old_server_cannot_tell_the_end_and_says_so(
    shell: Shell, server: TwirpServer, flags: tuple[str, ...]
) -> None:
    server.play("PerformRpc", OLD_SERVER)
    ended = shell.run("say", "Hello.", *flags)
    assert ended.code == 7
    assert "cannot ask the agent what became of it" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("Hello.", "--file", "line.txt"),
        ("--file", "nowhere.txt"),
        ("--file", "."),
        ("--file", "latin-1.txt"),
        ("Hello.", "--speed", "9"),
        ("Hello.", "--priority", "101"),
        ("Hello.", "--ttl", "0"),
        ("Hello.", "--ttl", "inf"),
        ("Hello.", "--timeout", "0"),
        ("Hello.", "--wait", "forever"),
        ("Hello.", "--room", ""),
        ("Hello.", "--room", "a\nb"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_of_usage(
    shell: Shell, server: TwirpServer, arguments: tuple[str, ...]
) -> None:
    (shell.folder / "line.txt").write_text("Hello.")
    (shell.folder / "latin-1.txt").write_bytes("Grüße".encode("latin-1"))
    ended = shell.run("say", *arguments)
    assert (ended.code, ended.stdout, server.requests) == (2, "", [])


def test_missing_credentials_are_named(bare_shell: Shell) -> None:
    ended = bare_shell.run("say", CANARY, env={"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "k"})
    assert (ended.code, ended.stdout) == (3, "")
    assert ended.stderr.startswith("liba: LIVEKIT_API_SECRET is not set - ")


@pytest.mark.parametrize("refusal", [UNKNOWN_KEY, WRONG_SECRET, DENIED])
def test_credentials_that_livekit_refuses_are_ones_to_check(
    shell: Shell, server: TwirpServer, refusal: Answer
) -> None:
    server.play("ListParticipants", refusal)
    ended = shell.run("say", CANARY)
    assert ended.code == 3
    assert "check LIVEKIT_API_" in ended.stderr
    assert "eyJ" not in ended.stderr


def test_a_server_that_is_not_there_is_named_with_the_next_step(bare_shell: Shell) -> None:
    env = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": API_KEY, "LIVEKIT_API_SECRET": API_SECRET}
    ended = bare_shell.run("say", CANARY, env=env)
    assert (ended.code, ended.stdout) == (4, "")
    assert ended.stderr == (
        "liba: cannot reach LiveKit at http://127.0.0.1:1"
        " - check LIVEKIT_URL, or start one: liba server run\n"
    )


def test_an_address_that_is_none_is_no_reason_for_a_traceback(shell: Shell) -> None:
    ended = shell.run("say", "Hello.", "--url", "ws://host:port")
    assert (ended.code, ended.stderr) == (4, "liba: http://host:port is not an address - check LIVEKIT_URL\n")


def test_where_no_agent_comes_the_next_step_is_to_start_one(shell: Shell, server: TwirpServer) -> None:
    server.participants = []
    ended = shell.run("say", CANARY, "--timeout", "0.5")
    assert ended.code == 5
    assert ended.stderr == (
        "liba: no agent named 'liba' came into room 'demo' within 0.5 s - start one: liba agent run\n"
    )
    assert len(server.asked("DeleteDispatch")) == 1


@pytest.mark.parametrize("text", ["", "  \n", "🎉🎉", "...?!", "\x00\x1b", "\u200b"])
def test_nothing_to_say_is_refused_before_anybody_is_asked(
    shell: Shell, server: TwirpServer, text: str
) -> None:
    ended = shell.run("say", text)
    assert (ended.code, ended.stderr) == (6, "liba: there is no letter or digit in the text\n")
    assert said(server) == []


def test_a_text_too_long_is_refused_with_the_way_to_say_it(shell: Shell, server: TwirpServer) -> None:
    ended = shell.run("say", "canary " * 14_286)
    assert ended.code == 6
    assert ended.stderr == (
        "liba: the text has 100001 characters, 4000 are allowed - send it in parts: liba say - < text.txt\n"
    )
    assert server.requests == []


def test_a_text_for_which_the_settings_are_stricter_is_refused(shell: Shell) -> None:
    ended = shell.run("say", "Hello there.", env={"LIBA_SAY_MAX_TEXT_CHARS": "5"})
    assert (ended.code, "5 are allowed" in ended.stderr) == (6, True)


@pytest.mark.parametrize("id", ["", "x" * 65, "a\x1b[2Jb"])
def test_an_id_that_is_none_is_refused(shell: Shell, server: TwirpServer, id: str) -> None:
    ended = shell.run("say", "Hello.", "--id", id)
    assert (ended.code, server.requests) == (6, [])
    assert "`id` must be 1 to 64 printable characters" in ended.stderr


def test_what_the_agent_refuses_is_told_with_the_next_step(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", reply(epoch=EPOCH, rejected="queue_full", message="32 are waiting"))
    ended = shell.run("say", CANARY)
    assert (ended.code, ended.stdout) == (6, "")
    assert ended.stderr.startswith("liba: the agent refused: 32 are waiting - ")


@pytest.mark.parametrize("answer", [twirp_error(500, "internal", "?"), Answer("<html>", 502)])
def test_a_server_that_is_ill_counts_as_not_reachable(
    shell: Shell, server: TwirpServer, answer: Answer
) -> None:
    server.play("ListParticipants", answer)
    assert shell.run("say", "Hello.").code == 4


def test_cloud_429_a_quota_that_others_have_used_up_makes_no_command_fail(
    shell: Shell, server: TwirpServer
) -> None:
    server.bucket = TokenBucket(1000)
    server.bucket.drain()
    server.speech_s = 1.0
    ended = shell.run("say", CANARY, "--wait", "done")
    assert (ended.code, server.bucket.refused > 0) == (0, True)
    assert CANARY not in ended.stderr


def test_cloud_429_while_one_waits_is_waited_out_and_the_line_is_said_once(
    shell: Shell, server: TwirpServer
) -> None:
    server.speech_s = 1.0
    accepted = reply(epoch=EPOCH, id="u1", position=0, duplicate=False)
    server.play("PerformRpc", accepted, *[over_quota("1")] * 2)
    assert shell.run("say", CANARY, "--id", "u1", "--wait", "done").code == 0
    assert len(said(server)) == 1


def test_cloud_429_a_quota_that_does_not_come_back_in_time_is_a_bound_that_passed(
    shell: Shell, server: TwirpServer
) -> None:
    server.play("ListParticipants", over_quota("50"))
    started = time.monotonic()
    ended = shell.run("say", CANARY, "--timeout", "0.5")
    assert (ended.code, time.monotonic() - started < 10) == (7, True)


def test_cloud_429_a_quota_that_stays_used_up_is_told_as_what_it_is(
    shell: Shell, server: TwirpServer
) -> None:
    server.play("ListParticipants", over_quota("3600"))
    ended = shell.run("say", CANARY)
    assert (ended.code, "quota is used up" in ended.stderr) == (4, True)


def test_a_wait_that_is_too_long_times_out_and_names_the_id(shell: Shell, server: TwirpServer) -> None:
    server.status = {"state": "speaking"}
    ended = shell.run("say", CANARY, "--id", "u1", "--wait", "done", "--timeout", "2")
    assert ended.code == 7
    assert ended.stderr.count("\n") == 1
    assert "--id u1" in ended.stderr


def test_an_agent_that_takes_too_long_to_answer_may_be_asked_again_with_the_same_id(
    shell: Shell, server: TwirpServer
) -> None:
    server.play("PerformRpc", Answer(delay_s=3))
    ended = shell.run("say", "Hello.", "--id", "u1", "--timeout", "2")
    assert ended.code == 7
    assert ended.stderr == (
        "liba: not accepted after 2 s"
        " - it may still be spoken; ask with --id u1, or give it more: --timeout\n"
    )


def test_a_server_that_keeps_the_line_busy_times_out_too(shell: Shell, server: TwirpServer) -> None:
    server.play("ListParticipants", Answer(delay_s=1.5))
    assert shell.run("say", "Hello.", "--timeout", "0.3").code == 7


def test_an_end_that_nobody_confirmed_is_shown_and_is_no_success(shell: Shell, server: TwirpServer) -> None:
    server.status["state"] = "unconfirmed"
    ended = shell.run("say", "Hello.", "--id", "u1", "--wait", "done")
    assert ended.code == 7
    assert ended.stdout.startswith("spoken, but nobody confirmed its end  id=u1")


def test_speech_that_was_interrupted_is_no_success(shell: Shell, server: TwirpServer) -> None:
    server.status = {"state": "interrupted", "reason": "stopped"}
    ended = shell.run("say", CANARY, "--id", "u1", "--wait", "done")
    assert (ended.code, ended.stderr) == (8, "liba: u1 was interrupted: stopped\n")


def test_speech_without_the_avatar_that_was_required_is_no_success(shell: Shell) -> None:
    ended = shell.run("say", "Hello.", "--require-avatar")
    assert ended.code == 9
    assert "spoken without the avatar: not configured" in ended.stderr
    assert ended.stdout.startswith("done")


def test_speech_through_the_avatar_that_was_required_is_one(shell: Shell, server: TwirpServer) -> None:
    server.status = {"state": "done", "route": "tavus"}
    assert shell.run("say", "Hello.", "--require-avatar").code == 0


def test_ctrl_c_ends_it_with_130_and_without_a_traceback(shell: Shell, server: TwirpServer) -> None:
    server.status = {"state": "speaking"}
    ended = shell.spawn(
        "say", "Hello.", "--wait", "done", interrupt_when=lambda: len(server.asked("PerformRpc")) > 2
    )
    assert (ended.code, ended.stdout, ended.stderr) == (130, "", "")


def test_ctrl_c_while_waiting_for_an_agent_takes_the_dispatch_back(shell: Shell, server: TwirpServer) -> None:
    server.participants = []
    ended = shell.spawn("say", "Hello.", interrupt_when=lambda: len(server.asked("ListParticipants")) > 2)
    assert (ended.code, len(server.asked("DeleteDispatch"))) == (130, 1)


def test_ctrl_c_while_waiting_for_standard_input_ends_it_at_once(shell: Shell, server: TwirpServer) -> None:
    started = time.monotonic()
    ended = shell.spawn(
        "say", "-", interrupt_when=lambda: bool(server.requests) and time.monotonic() > started + 1
    )
    assert (ended.code, ended.stderr) == (130, "")


def test_a_standard_input_that_is_closed_has_nothing_to_say(shell: Shell) -> None:
    closed = ["/bin/sh", "-c", f"exec {sys.executable} -m libacli say - <&-"]
    ended = subprocess.run(closed, env=os.environ | shell.env, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (6, b"liba: there was nothing to say on standard input\n")


def test_a_queue_that_stays_full_is_waited_for_no_longer_than_the_bound(
    shell: Shell, server: TwirpServer
) -> None:
    server.play("PerformRpc", *[reply(epoch=EPOCH, rejected="queue_full", message="full")] * 50)
    ended = shell.spawn("say", "-", "--timeout", "0.5", input=b"One.")
    assert (ended.code, ended.stderr) == (
        7,
        "liba: the queue was full for 0.5 s; 0 lines were taken before; what came then was not"
        " - clear it: liba stop\n",
    )


def test_standard_input_is_said_sentence_by_sentence(shell: Shell, server: TwirpServer) -> None:
    text = "One. Two! Grüße, 世界。 🎉 Last one"
    ended = shell.spawn("say", "-", "--id", "s", "--json", input=text.encode())
    assert [line["id"] for line in ended.ndjson] == ["s-0", "s-1", "s-2", "s-3"]
    assert [request["text"] for request in said(server)] == ["One.", "Two!", "Grüße, 世界。", "🎉 Last one"]
    assert ended.code == 0


DOCUMENT = "# Plan\n\n**Buy** milk. See [the shop](https://a.b).\n- one\n- two\n"


def test_markdown_on_standard_input_is_read_as_prose(shell: Shell, server: TwirpServer) -> None:
    assert shell.spawn("say", "-", input=DOCUMENT.encode()).code == 0
    assert [request["text"] for request in said(server)] == [
        "Plan.",
        "Buy milk.",
        "See the shop.",
        "one.",
        "two.",
    ]


def test_markdown_on_standard_input_can_be_read_as_it_stands(shell: Shell, server: TwirpServer) -> None:
    assert shell.spawn("say", "-", "--markdown", "off", input=b"**Buy** milk.").code == 0
    assert [request["text"] for request in said(server)] == ["**Buy** milk."]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ((), "**Buy** milk"),
        (("--markdown", "off"), "**Buy** milk"),
        (("--markdown", "on"), "Buy milk"),
        (("--markdown", "auto"), "Buy milk"),
    ],
)
def test_a_text_is_markdown_where_that_is_said(
    shell: Shell, server: TwirpServer, flags: tuple[str, ...], text: str
) -> None:
    (shell.folder / "line.md").write_text("**Buy** milk")
    assert shell.run("say", "**Buy** milk", *flags).code == 0
    assert shell.run("say", "--file", "line.md", *flags).code == 0
    assert [request["text"] for request in said(server)] == [text, text]


def test_a_text_that_is_all_code_has_nothing_to_say(shell: Shell, server: TwirpServer) -> None:
    ended = shell.run("say", "--markdown", "on", "```\na = 1\nb = 2\n```")
    assert (ended.code, said(server)) == (6, [])


def test_pauses_go_to_the_agent_and_other_ssml_goes_nowhere(shell: Shell, server: TwirpServer) -> None:
    assert shell.run("say", "Ready? [pause 1s] Go.").code == 0
    assert said(server)[0]["text"] == "Ready? [pause 1s] Go."
    ended = shell.run("say", "<speak>Go.</speak>")
    assert (ended.code, len(said(server))) == (6, 1)
    assert ended.stderr == (
        "liba: <speak> is not supported: of SSML only <break> is"
        " - leave it out; [pause 500ms] makes silence with any voice\n"
    )
    assert shell.run("say", "[pause 1s]").code == 6


def test_lines_of_windows_are_lines(shell: Shell, server: TwirpServer) -> None:
    assert shell.spawn("say", "-", input=b"# One\r\n\r\ntwo\r\nlines\r\n").code == 0
    assert [request["text"] for request in said(server)] == ["One.", "two\nlines"]


def test_a_disk_that_is_full_ends_no_line_and_is_told_in_the_end(shell: Shell, server: TwirpServer) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "libacli", "say", "-", "--json"],
            input=b"One.\n\nTwo.\n\nThree.",
            stdout=full,
            stderr=subprocess.PIPE,
            env=os.environ | shell.env,
            timeout=60,
        )
    assert [request["text"] for request in said(server)] == ["One.", "Two.", "Three."]
    told = "liba: cannot write: No space left on device - make room where the output goes\n"
    assert (ended.returncode, ended.stderr.decode()) == (3, told)


def test_status_that_nobody_reads_costs_no_line(shell: Shell, server: TwirpServer) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    latin = "Schöne Grüße.".encode("latin-1")  # the guess is told on stderr
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "libacli", "say", "-"],
            input=latin,
            stderr=writing,
            stdout=subprocess.PIPE,
            env=os.environ | shell.env,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert ([request["text"] for request in said(server)], ended.returncode) == (["Schöne Grüße."], 0)


def test_hard_wrap_is_no_end_of_a_sentence_and_a_pause_goes_with_the_next(
    shell: Shell, server: TwirpServer
) -> None:
    text = "A sentence that\nis wrapped. Mr. Smith\nsays so.\n[pause:2s]\nBye.\n"
    assert shell.spawn("say", "-", input=text.encode()).code == 0
    assert [request["text"] for request in said(server)] == [
        "A sentence that\nis wrapped.",
        "Mr. Smith\nsays so.",
        "[pause:2s]\nBye.",
    ]


def test_a_sentence_is_said_in_a_silence_though_nothing_follows_it(shell: Shell, server: TwirpServer) -> None:
    sentence = "यह पहला वाक्य है। "
    program = f"printf '{sentence}'; sleep 20"
    piped = f"({program}) | {sys.executable} -m libacli say -"
    process = subprocess.Popen(["/bin/sh", "-c", piped], env=os.environ | shell.env, start_new_session=True)
    try:
        give_up_at = time.monotonic() + 15
        while not said(server) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        assert [request["text"] for request in said(server)] == [sentence.strip()]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_only_the_first_sentence_interrupts(shell: Shell, server: TwirpServer) -> None:
    shell.spawn("say", "-", "--interrupt", input=b"One. Two. Three.")
    assert [request.get("interrupt") for request in said(server)] == [True, None, None]


def test_a_sentence_waits_for_its_place_in_a_full_queue(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", reply(epoch=EPOCH, rejected="queue_full", message="full"))
    assert shell.spawn("say", "-", input=b"One.").code == 0
    assert [request["text"] for request in said(server)] == ["One.", "One."]


def test_a_stream_waits_for_the_end_of_all_its_sentences(shell: Shell, server: TwirpServer) -> None:
    ended = shell.spawn("say", "-", "--id", "s", "--wait", "done", "--json", input=b"One. Two.")
    told = [(line["id"], line["level"]) for line in ended.ndjson]
    assert [level for line, level in told if line == "s-0"] == ["accepted", "done"]
    assert [level for line, level in told if line == "s-1"] == ["accepted", "done"]


@pytest.mark.parametrize("text", ["", "\n\n", "🎉 ... 🎉"])
def test_standard_input_with_nothing_to_say_is_refused(shell: Shell, text: str) -> None:
    ended = shell.spawn("say", "-", input=text.encode())
    assert (ended.code, ended.stdout) == (6, "")
    assert ended.stderr == "liba: there was nothing to say on standard input\n"


def test_the_words_are_nowhere_but_on_their_way(
    shell: Shell, server: TwirpServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    server.play("PerformRpc", reply(epoch=EPOCH, rejected="odd", message="no"))
    outcomes = [shell.run("say", CANARY), shell.run("say", CANARY, "--wait", "done", "--json")]
    assert [ended.code for ended in outcomes] == [6, 0]
    assert not any("canary" in ended.stdout + ended.stderr for ended in outcomes)
    assert "canary" not in caplog.text
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_an_agent_on_its_way_is_waited_for(shell: Shell, server: TwirpServer) -> None:
    server.play("ListParticipants", Answer({}), Answer({}), Answer({}))
    assert shell.run("say", "Hello.").code == 0
    assert len(server.asked("CreateDispatch")) == 1
    assert len(server.asked("ListParticipants")) == 4


def in_a_terminal(shell: Shell, *arguments: str) -> tuple[int, list[str]]:
    """The exit code of `liba say`, and what is seen."""
    command = [sys.executable, "-m", "libacli", "say", *arguments]
    with terminal(command, env={**os.environ, **shell.env}, cwd=shell.folder) as seen:
        return seen.ended(), [line for line in seen.lines if line]


def test_on_a_terminal_it_is_waited_for_until_it_is_heard(shell: Shell, server: TwirpServer) -> None:
    server.speech_s = 60.0
    code, lines = in_a_terminal(shell, "Hello.", "--id", "u1")
    assert code == 0
    assert lines[0].startswith("audible  id=u1")


def test_on_a_terminal_those_before_it_are_told(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", reply(epoch=EPOCH, id="u1", position=2, duplicate=False))
    code, lines = in_a_terminal(shell, "Hello.", "--id", "u1")
    assert code == 0
    assert lines[0] == "accepted, 2 lines before it; Ctrl-C leaves it there"


def test_on_a_terminal_a_server_that_cannot_tell_is_no_failure(shell: Shell, server: TwirpServer) -> None:
    server.play("PerformRpc", OLD_SERVER)
    code, lines = in_a_terminal(shell, "Hello.", "--id", "u1")
    assert (code, lines) == (0, ["sent, not confirmed  id=u1"])
