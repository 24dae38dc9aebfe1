from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from typing import IO

import pytest

from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.store import MetricsStore
from tests.cli.conftest import Shell
from tests.core.test_board import AGENT, MARKS
from tests.terminal import terminal
from tests.twirp_server import TwirpServer, reply

NEW = UtteranceRecord(
    "new000000001", 1_795_348_900.0, "done", room="lobby", epoch="e1", route="avatar", total=4073.3
)
LOADED = """
import sys
from libacli.cli.main import app
app(standalone_mode=False)
print([name for name in ("livekit", "numpy", "aiohttp", "jwt", "httpx2") if name in sys.modules])
"""


@pytest.fixture
def store(bare_shell: Shell) -> Path:
    """Where the shell's commands look for records."""
    bare_shell.env["XDG_STATE_HOME"] = str(bare_shell.folder / "state")
    return bare_shell.folder / "state" / "liba" / "metrics.db"


def fill(store: Path, *records: UtteranceRecord) -> None:
    async def put() -> None:
        keeper = MetricsStore(store, keep_days=3650, keep_mb=64)
        running = asyncio.get_running_loop().create_task(keeper.run())
        for record in records:
            keeper.add(record)
        await keeper.flush()
        running.cancel()
        await asyncio.wait([running])

    store.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(put())


def some(count: int) -> list[UtteranceRecord]:
    return [
        UtteranceRecord(
            f"u{number}", 1_795_348_800.0 + number, "done", room="demo", epoch="e1", route="avatar",
            d01=float(number), d12=0.1, d2a=70.0, d23=1000.0, total=1000.1 + number,
        )
        for number in range(count)
    ]  # fmt: skip


@dataclass
class Terminal:
    """A command on a terminal of 100 by 24."""

    process: subprocess.Popen[bytes]
    master: int
    slave: int
    modes: list[object]
    """Of the terminal, before the command began."""

    seen: bytearray = field(default_factory=bytearray)

    def until(self, text: str, timeout_s: float = 60.0) -> None:
        """Reads until `text` was written."""
        deadline = time.monotonic() + timeout_s
        while text.encode() not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {bytes(self.seen)!r}"
            self._read(0.05)

    def ended(self) -> int:
        code = self.process.wait(60)
        while self._read(0.05):
            pass
        return code

    def is_as_before(self) -> bool:
        """Modes as they were, the usual screen, the cursor to be seen."""
        left = self.seen.rindex(b"\x1b[?1049l") > self.seen.rindex(b"\x1b[?1049h")
        cursor = self.seen.rindex(b"\x1b[?25h") > self.seen.rindex(b"\x1b[?25l")
        return left and cursor and termios.tcgetattr(self.slave) == self.modes

    def _read(self, timeout_s: float) -> bool:
        if select.select([self.master], [], [], timeout_s)[0]:
            self.seen += os.read(self.master, 65536)
            return True
        return False


@pytest.fixture
def on_terminal(bare_shell: Shell) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str, **env: str) -> Terminal:
        master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "libacli", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=bare_shell.folder,
            env=os.environ | {"TERM": "xterm-256color"} | bare_shell.env | env,
        )
        opened.append(Terminal(process, master, slave, termios.tcgetattr(slave)))
        return opened[-1]

    yield start
    for one in opened:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        os.close(one.master)
        os.close(one.slave)


@contextmanager
def piped(shell: Shell, *arguments: str) -> Iterator[IO[str]]:
    """Standard output of a command that runs, in pipes and with nobody to type."""
    command = [sys.executable, "-m", "libacli", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=os.environ | shell.env,
        cwd=shell.folder, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            yield process.stdout
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130


def first_line(stdout: IO[str], store: Path) -> str:
    """The first line written after the command looked into an empty store."""
    for attempt in range(40):  # a record that is there before it looked is not new
        fill(
            store, UtteranceRecord(f"new{attempt:09}", NEW.t0, "done", room="lobby", epoch="e1", total=4073.3)
        )
        if select.select([stdout], [], [], 0.6)[0]:
            return stdout.readline()
    raise AssertionError("nothing was printed")


def test_the_store_is_shown_once_newest_first(bare_shell: Shell, store: Path) -> None:
    fill(store, *some(30))
    ended = bare_shell.run("metrics", "watch", "--once")
    rows = [line for line in ended.stdout.splitlines() if "✓ done" in line]
    assert ended.code == 0
    assert "all rooms of this machine" in ended.stdout
    assert (len(rows), "99.1" in rows[0]) == (20, True)
    assert all("demo" in row for row in rows)


def test_the_store_is_one_document_with_json(bare_shell: Shell, store: Path) -> None:
    fill(store, *some(30))
    told = bare_shell.run("metrics", "watch", "--once", "--json").json
    assert told["count"] == 30
    assert told["percentiles_ms"]["d01"] == {"p50": 14.0, "p95": 28.0, "p99": 29.0}
    assert [row["id"] for row in told["utterances"]] == [f"u{29 - number}" for number in range(20)]
    assert told["utterances"][0]["outcome"] == "done"


def test_a_store_that_is_not_there_is_an_empty_one(bare_shell: Shell, store: Path) -> None:
    assert "nothing was said yet" in bare_shell.run("metrics", "watch", "--once").stdout
    assert not store.exists()


def test_a_file_that_is_no_store_is_an_error_with_a_hint(bare_shell: Shell, store: Path) -> None:
    store.parent.mkdir(parents=True)
    store.write_text("garbage " * 100)
    ended = bare_shell.run("metrics", "watch", "--once")
    assert ended.code == 3
    assert "is not a metrics store" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("--show-text", "give a room"), ("--show-text --room demo --once", "leave --once out")],
)
def test_text_that_cannot_be_had_is_a_usage_error(bare_shell: Shell, arguments: str, words: str) -> None:
    ended = bare_shell.run("metrics", "watch", *arguments.split())
    assert ended.code == 2
    assert words in ended.stderr


def test_reading_the_store_loads_no_livekit(bare_shell: Shell, store: Path) -> None:
    fill(store, *some(3))
    ended = subprocess.run(
        [sys.executable, "-c", LOADED, "metrics", "watch", "--once"],
        env=os.environ | bare_shell.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_elsewhere_than_on_a_terminal_each_one_that_ends_is_a_line(bare_shell: Shell, store: Path) -> None:
    fill(store, *some(3))
    with piped(bare_shell, "metrics", "watch") as stdout:
        words = first_line(stdout, store).split()
    assert words[1].startswith("new")
    assert words[2:] == ["done", "-", "d01=-", "d12=-", "d2a=-", "d23=-", "total=4073.3", "-"]


def test_a_store_that_is_moved_away_is_followed_into_the_new_one(bare_shell: Shell, store: Path) -> None:
    fill(store, *some(3))
    with piped(bare_shell, "metrics", "watch", "--json") as stdout:
        first_line(stdout, store)
        store.rename(store.with_suffix(".old"))
        told = ""
        for attempt in range(10):
            fill(store, UtteranceRecord(f"moved{attempt}", NEW.t0, "done", epoch="e2"))
            if select.select([stdout], [], [], 0.6)[0]:
                told = json.loads(stdout.readline())["id"]
            if told.startswith("moved"):
                break
        assert told.startswith("moved")


def test_with_json_each_record_is_a_line(bare_shell: Shell, store: Path) -> None:
    with piped(bare_shell, "metrics", "watch", "--json") as stdout:
        told = UtteranceRecord.read(json.loads(first_line(stdout, store)))
    assert (told.room, told.total) == ("lobby", 4073.3)


def test_q_ends_it_and_leaves_the_terminal_as_it_was(
    store: Path, on_terminal: Callable[..., Terminal]
) -> None:
    fill(store, *some(3))
    terminal = on_terminal("metrics", "watch")
    terminal.until("q quits")
    assert termios.tcgetattr(terminal.slave) != terminal.modes
    fill(store, NEW)
    terminal.until("lobby")
    os.write(terminal.master, b"q")
    assert terminal.ended() == 0
    assert terminal.is_as_before()
    assert b"Traceback" not in terminal.seen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_signals_leave_the_terminal_as_it_was_too(
    store: Path, on_terminal: Callable[..., Terminal], number: signal.Signals, code: int
) -> None:
    terminal = on_terminal("metrics", "watch")
    terminal.until("q quits")
    terminal.process.send_signal(number)
    assert terminal.ended() == code
    assert terminal.is_as_before()


def test_an_error_leaves_the_terminal_as_it_was_and_is_told_there(
    store: Path, on_terminal: Callable[..., Terminal]
) -> None:
    keys = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32}
    terminal = on_terminal("metrics", "watch", "--room", "demo", **keys)
    assert terminal.ended() == 4
    assert terminal.is_as_before()
    assert b"cannot join a room" in terminal.seen[terminal.seen.rindex(b"\x1b[?1049l") :]


def test_another_size_is_another_picture(store: Path, on_terminal: Callable[..., Terminal]) -> None:
    fill(store, *some(3))
    terminal = on_terminal("metrics", "watch")
    terminal.until("latency")
    assert b"chars" not in terminal.seen
    ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 200, 0, 0))
    terminal.until("chars")


def test_a_screen_on_which_nothing_changes_is_left_alone(
    store: Path, on_terminal: Callable[..., Terminal]
) -> None:
    terminal = on_terminal("metrics", "watch")
    terminal.until("budget 1450 ms")
    while terminal._read(0.3):
        pass
    drawn = len(terminal.seen)
    terminal._read(1.0)
    assert len(terminal.seen) == drawn


def test_a_room_is_asked_once_what_it_speaks(shell: Shell, server: TwirpServer) -> None:
    speaking = {"id": "u1", "state": "audible", "route": "tavus"} | MARKS
    waiting = [{"id": "u2", "state": "accepted"}]
    for _ in range(2):
        server.play("PerformRpc", reply(**AGENT | {"speaking": speaking, "waiting": waiting, "queue": 1}))
    told = shell.run("metrics", "watch", "--room", "demo", "--once", "--json").json
    assert (told["agent"], told["avatar"], told["queue"], told["epoch"]) == ("liba", "ready", 1, "e1")
    assert [(row["id"], row["state"], row["outcome"]) for row in told["utterances"]] == [
        ("u2", "accepted", None),
        ("u1", "audible", None),
    ]
    shown = shell.run("metrics", "watch", "--room", "demo", "--once").stdout
    assert "► audible" in shown and "· accepted" in shown


def test_a_room_without_an_agent_has_nothing_to_tell_once(shell: Shell, server: TwirpServer) -> None:
    server.participants = []
    ended = shell.run("metrics", "watch", "--room", "demo", "--once")
    assert ended.code == 5
    assert "liba agent run" in ended.stderr


def test_on_a_terminal_that_can_show_no_table_it_says_at_once_what_it_does(shell: Shell) -> None:
    command = [sys.executable, "-m", "libacli", "metrics", "watch"]
    with terminal(command, env={**os.environ, **shell.env}, cwd=shell.folder, term="dumb") as seen:
        seen.until("watch    all rooms of this machine; a line for each utterance that ends")
        seen.process.send_signal(signal.SIGINT)
        assert seen.ended() == 130
