"""The commands as a user runs them, against a real server and a real worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import wave
from pathlib import Path

import av
import pytest

from libacli.config import LiveKitCredentials
from tests.hearing import words_in, words_of
from tests.live.conftest import Shell, wait_for_line
from tests.started import started

pytestmark = pytest.mark.live


def test_say_brings_an_agent_into_an_empty_room(shell: Shell, worker: Path, room: str) -> None:
    done = shell.run("say", "Hello.", "--room", room, "--json", "--id", "x1")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer.pop("epoch")
    assert answer == {"id": "x1", "level": "accepted", "position": 0, "duplicate": False}


def test_say_waits_until_it_was_spoken_and_tells_its_marks(shell: Shell, worker: Path, room: str) -> None:
    done = shell.run("say", "Hello.", "--room", room, "--wait", "done", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["level"], answer["route"], answer["t3_source"]) == ("done", "fallback", "observed")
    assert answer["total"] > answer["d01"] > 0


def test_an_id_that_was_said_is_not_said_again_and_with_another_text_refused(
    shell: Shell, worker: Path, room: str
) -> None:
    shell.run("say", "Hello.", "--room", room, "--id", "same")
    again = shell.run("say", "Hello.", "--room", room, "--id", "same", "--json")
    assert json.loads(again.stdout)["duplicate"] is True
    other = shell.run("say", "Good bye.", "--room", room, "--id", "same")
    assert (other.returncode, "this id is that of another text" in other.stderr) == (6, True)


def test_standard_input_is_spoken_sentence_by_sentence(shell: Shell, worker: Path, room: str) -> None:
    text = "One sentence. And another one!\nA third without an end"
    done = shell.run("say", "-", "--room", room, "--id", "in", "--wait", "done", "--json", stdin=text)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["id"], line["level"]) for line in lines] == [
        ("in-0", "accepted"),
        ("in-1", "accepted"),
        ("in-2", "accepted"),
        ("in-0", "done"),
        ("in-1", "done"),
        ("in-2", "done"),
    ]


def test_speech_without_the_avatar_that_was_required_is_told_by_exit_code_9(
    shell: Shell, worker: Path, room: str
) -> None:
    done = shell.run("say", "Hello.", "--room", room, "--require-avatar")
    assert done.returncode == 9
    assert "not configured" in done.stderr


def test_an_utterance_that_is_interrupted_is_told_by_exit_code_8(
    shell: Shell, worker: Path, room: str
) -> None:
    shell.run("say", "Hello.", "--room", room, "--wait", "done")
    long = "This line is long enough to be interrupted in its middle. " * 30
    with started(
        shell.command("say", long, "--room", room, "--wait", "done", "--id", "long"),
        env=shell.environment,
        cwd=shell.folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as waiting:
        deadline = time.monotonic() + 30
        while '"long"' not in shell.run("queue", "--room", room, "--json").stdout:
            assert time.monotonic() < deadline
        assert shell.run("say", "Now this.", "--room", room, "--interrupt").returncode == 0
        _, errors = waiting.communicate(timeout=60)
    assert waiting.returncode == 8
    assert "interrupted by a newer request" in errors


def test_a_wait_that_is_too_short_is_told_by_exit_code_7(shell: Shell, worker: Path, room: str) -> None:
    shell.run("say", "Hello.", "--room", room, "--wait", "done")
    line = "A line that takes longer than the command may wait for it to be spoken to its end."
    done = shell.run("say", line, "--room", room, "--wait", "done", "--timeout", "0.6")
    assert done.returncode == 7
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no letter or digit"),
        ("😀 😀", "no letter or digit"),
        ("a" * 100_000, "100000 characters"),
        ("今日は", "the embedded voice speaks English"),
    ],
)
def test_what_cannot_be_said_is_refused_in_one_line(
    shell: Shell, worker: Path, room: str, text: str, words: str
) -> None:
    done = shell.run("say", text or "-", "--room", room, stdin="\n")
    assert done.returncode == 6
    told = [line for line in done.stderr.splitlines() if not line.startswith("waiting for agent")]
    assert len(told) == 1
    assert words in told[0] or "nothing to say" in told[0]


def test_fault_27_nobody_coming_is_told_by_exit_code_5_within_its_bound(shell: Shell, room: str) -> None:
    started = time.monotonic()
    done = shell.run("say", "Hello.", "--room", room, "--timeout", "2", LIBA_AGENT_NAME="nobody")
    assert time.monotonic() - started < 18  # it waits for 20 s unasked
    assert done.returncode == 5
    assert "liba agent run" in done.stderr


def test_a_wrong_secret_is_told_by_exit_code_3(shell: Shell, room: str) -> None:
    for command in (["say", "Hello.", "--room", room], ["agent", "run", "--room", room]):
        done = shell.run(*command, LIVEKIT_API_SECRET="w" * 40)
        assert done.returncode == 3, done.stderr
        assert "LIVEKIT_API_SECRET" in done.stderr
        assert "eyJ" not in done.stderr
        assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_told_by_exit_code_4(shell: Shell, room: str) -> None:
    for command in (["say", "Hello.", "--room", room], ["agent", "run", "--room", room]):
        done = shell.run(*command, LIVEKIT_URL="ws://127.0.0.1:9")
        assert done.returncode == 4, done.stderr
        assert "liba server run" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_a_worker_that_is_asked_to_stop_finishes_its_sentence(
    shell: Shell, tmp_path: Path, room: str, isolation: str
) -> None:
    log = tmp_path / "worker.log"
    arguments = ("agent", "run", "--agent-name", room, "--room", room, "--isolation", isolation)
    with shell.running(*arguments, log=log) as process:
        wait_for_line(log, "ready in room", process)
        said = shell.run(
            "say", "This sentence takes some seconds to speak.", "--room", room, LIBA_AGENT_NAME=room
        )
        assert said.returncode == 0, said.stderr
        asked_at = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
        assert time.monotonic() - asked_at < 15
    text = log.read_text()
    assert "METRICS" in text
    assert "Traceback" not in text


def test_the_log_of_a_worker_holds_neither_texts_nor_secrets(
    shell: Shell, worker: Path, room: str, credentials: LiveKitCredentials
) -> None:
    shell.run("say", "A canary sings.", "--room", room, "--wait", "done")
    log = worker.read_text()
    assert "Synthesizing speech: 15 characters" in log
    assert "canary" not in log
    assert credentials.api_secret.get_secret_value() not in log
    assert "eyJ" not in log


def test_the_demo_needs_no_key_speaks_and_proves_that_it_was_heard(bare_shell: Shell, tmp_path: Path) -> None:
    recording = tmp_path / "heard.wav"
    done = bare_shell.run("demo", "This is a test of the demo.", "--record", str(recording))
    assert done.returncode == 0, done.stderr
    assert "HEARD" in done.stdout
    assert "frames of 512x512, mouth moved" in done.stdout
    assert "tavus (local avatar)" in done.stdout
    assert "reported" in done.stdout
    with wave.open(str(recording)) as file:
        assert file.getframerate() == 24000
        assert words_in(file.readframes(file.getnframes())) == words_of("This is a test of the demo.")
    assert not processes_of(bare_shell)


def test_the_demo_records_picture_and_sound(bare_shell: Shell, tmp_path: Path) -> None:
    recording = tmp_path / "seen.mp4"
    done = bare_shell.run("demo", "This is a test of the demo.", "--once", "--record", str(recording))
    assert done.returncode == 0, done.stderr
    with av.open(str(recording)) as file:
        pictures = sum(1 for _ in file.decode(video=0))
    with av.open(str(recording)) as file:
        sound = b"".join(
            frame.to_ndarray().tobytes()
            for decoded in file.decode(audio=0)
            for frame in av.AudioResampler("s16", "mono", 24000).resample(decoded)
        )
    assert pictures > 20  # a busy machine draws and shows fewer
    assert words_in(sound) == words_of("This is a test of the demo.")


def test_the_demo_refuses_what_it_cannot_say_and_leaves_nothing_running(bare_shell: Shell) -> None:
    for text, words in {"😀": "no letter or digit", "你好": "the embedded voice speaks English"}.items():
        done = bare_shell.run("demo", text, "--once")
        assert done.returncode == 6
        assert words in done.stderr
    assert not processes_of(bare_shell)


def processes_of(shell: Shell) -> list[str]:
    """Command lines of what still runs with this shell's environment."""
    mark = f"XDG_STATE_HOME={shell.environment['XDG_STATE_HOME']}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            has_livekit = b"LIVEKIT_API_SECRET" in environment
            if mark in environment and not has_livekit:
                found.append((process / "cmdline").read_text())
        except OSError:  # it has ended meanwhile
            continue
    return found
