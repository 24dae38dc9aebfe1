"""A terminal with a program in it, as whoever sits there sees it."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyte

from tests.started import started

_COLUMNS, _LINES = 80, 24
PASTE, END_OF_PASTE = "\x1b[200~", "\x1b[201~"


class _Screen(pyte.HistoryScreen):
    """One that tells where the cursor is when it is asked, as terminals do."""

    answer: Callable[[str], None]

    def write_process_input(self, data: str) -> None:
        self.answer(data)


class Terminal:
    """80 columns, 24 lines, and what has scrolled away."""

    def __init__(self, process: subprocess.Popen[Any], near: int) -> None:
        self.process = process
        self._near = near
        self._screen = _Screen(_COLUMNS, _LINES, history=10_000, ratio=1.0)
        self._screen.answer = self.type
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """All that is seen, and was, without the spaces at their ends."""
        past = ["".join(line[x].data for x in range(_COLUMNS)) for line in self._screen.history.top]
        return [line.rstrip() for line in [*past, *self._screen.display]]

    def type(self, keys: str) -> None:
        os.write(self._near, keys.encode())

    def enter(self, text: str) -> None:
        self.type(text + "\r")

    def paste(self, text: str) -> None:
        """As terminals do that tell programs of it: "bracketed paste"."""
        self.type(f"{PASTE}{text}{END_OF_PASTE}")

    def until(self, words: str, *, count: int = 1, timeout_s: float = 90.0) -> None:
        """Waits until so many lines hold those words."""
        deadline = time.monotonic() + timeout_s
        while sum(words in line for line in self.lines) < count:
            assert time.monotonic() < deadline, "\n".join([f"no {words!r} ({count}) in:", *self.lines])
            self._read(1.0)

    def ended(self, *, timeout_s: float = 60.0) -> int:
        """Its exit code; what it still writes is read meanwhile, else it would wait for that."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "\n".join(["it does not end:", *self.lines])
            self._read(0.2)
        return self.process.returncode

    def _read(self, timeout_s: float) -> None:
        if select.select([self._near], [], [], timeout_s)[0]:
            try:
                self._stream.feed(os.read(self._near, 65536))
            except OSError:  # nobody has its other end open any more
                time.sleep(timeout_s)


@contextmanager
def terminal(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, term: str = "xterm"
) -> Iterator[Terminal]:
    """Runs `command` in one until the context ends."""
    near, far = os.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    options = {"stdin": far, "stdout": far, "stderr": far, "env": {**env, "TERM": term}, "cwd": cwd}
    try:
        with started(command, **options, start_new_session=True) as process:
            os.close(far)
            yield Terminal(process, near)
    finally:
        os.close(near)
