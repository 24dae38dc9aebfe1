"""`liba demo` as whoever types to it meets it: in a terminal, with its page open, and things going wrong."""

from __future__ import annotations

import os
import re
import signal
import wave
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.hearing import words_in, words_of
from tests.live.conftest import Shell
from tests.live.test_commands import processes_of
from tests.terminal import Terminal, terminal

pytestmark = pytest.mark.live

LONG = "This line is long enough that there is time to do something about it while it is spoken, and more."
LONG_TITLE = '"This line is long enough that there is time…"'
CTRL_C = "\x03"


class Demo:
    """One in a terminal, and its page."""

    def __init__(self, seen: Terminal) -> None:
        self.seen = seen
        self._heard = 0
        self.expect_heard()
        (page,) = re.findall(r"page +(http://127\.0\.0\.1:\d+)/#room=demo", "\n".join(seen.lines))
        self.page = httpx2.Client(base_url=page, trust_env=False, timeout=30)

    def expect_heard(self, lines: int = 1) -> None:
        """Waits for so many more."""
        self._heard += lines
        self.seen.until("HEARD", count=self._heard)

    def say(self, text: str, lines: int = 1) -> None:
        self.seen.enter(text)
        self.expect_heard(lines)

    def begin(self, text: str, *, count: int) -> None:
        """Says a line, and returns while it is spoken."""
        self.seen.enter(text)
        self.seen.until(f"{LONG_TITLE}  speaking", count=count)

    def kill_worker(self) -> None:
        for process in psutil.Process(self.seen.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has ended with one that was killed before it
                command = process.cmdline()
                if "agent" in command[:8] and "guard" not in " ".join(command):
                    process.kill()


def test_the_demo_survives_everything_but_its_own_end(bare_shell: Shell, tmp_path: Path) -> None:
    recording = tmp_path / "line.wav"
    command = bare_shell.command("demo", "This is a test of the demo.")
    with terminal(command, env=bare_shell.environment, cwd=bare_shell.folder) as seen:
        demo = Demo(seen)
        with demo.page as page:
            assert page.get("/api/rooms/demo").json()["agent"]["name"] == "liba"
            demo.say("One.")
            seen.enter("/voice heart")
            seen.enter("/speed 1.5")
            demo.say("Two.")
            seen.enter("/speed 99")
            seen.until("0.25 to 4")
            seen.enter("/speed")
            seen.enter("/stpo")
            seen.until("did you mean /stop?")
            seen.paste("Line number one.\nLine number two.\nLine number three.\n")
            demo.expect_heard(3)

            demo.begin(LONG, count=1)
            assert page.post("/api/stop", json={"room": "demo"}).status_code == 200
            seen.until(f"STOPPED  {LONG_TITLE}", count=1)
            seen.until("by somebody else")
            demo.begin(LONG, count=2)
            seen.enter("/stop")
            seen.until(f"STOPPED  {LONG_TITLE}", count=2)
            demo.begin(LONG, count=3)
            seen.type(CTRL_C)
            seen.until(f"STOPPED  {LONG_TITLE}", count=3)

            seen.enter("😀")
            seen.until("REFUSED", count=1)
            seen.enter("你好")
            seen.until("REFUSED", count=2)
            said = page.post("/api/say?wait=audible", json={"text": "From the page."})
            assert (said.status_code, said.json()["report"]["route"]) == (200, "tavus")

            demo.begin(LONG, count=4)
            demo.kill_worker()
            seen.until("LOST")
            seen.until("started again")
            demo.say("It is back.")
            seen.enter(f"/record {recording}")
            demo.say("This is what was recorded of it.")
            seen.enter("/help")
            seen.until("/record  FILE")
            seen.enter("/quit")
            assert seen.ended() == 0
    with wave.open(str(recording)) as file:
        heard = words_in(file.readframes(file.getnframes()))
        assert heard == words_of("This is what was recorded of it.")
    assert "WARNING" not in "\n".join(seen.lines), "a library's noise"
    assert not processes_of(bare_shell)


def test_the_demo_ends_with_ctrl_c_from_outside_and_leaves_nothing_running(bare_shell: Shell) -> None:
    command = bare_shell.command("demo", "This is a test of the demo.")
    with terminal(command, env=bare_shell.environment, cwd=bare_shell.folder) as seen:
        seen.until("TIMES")
        os.kill(seen.process.pid, signal.SIGINT)
        assert seen.ended() == 130
    assert not processes_of(bare_shell)


def test_the_demo_speaks_what_is_piped_in(bare_shell: Shell) -> None:
    done = bare_shell.run("demo", "--json", stdin="First comes this one.\nThen the second.\n")
    assert done.returncode == 0, done.stderr
    assert [line.count('"state": "done"') for line in done.stdout.splitlines()] == [1, 1]
