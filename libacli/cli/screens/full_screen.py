"""The whole terminal for a moment: drawn on when something changed, and left as it was found."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import RenderableType
from rich.live import Live

from libacli.cli.output import plain_console

_TICK_S = 0.125
"""Eight pictures a second: numbers that run are read as running, and a terminal far away keeps up."""


@dataclass(frozen=True)
class Frame:
    """One picture of the screen."""

    sameness: Any
    """Equal to the one before: it looks the same and need not be drawn."""

    draw: Callable[[], RenderableType]


class Screen:
    """A context manager, inside a running loop: takes the terminal over and gives it back, errors or not."""

    def __init__(self) -> None:
        self._console = plain_console()
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._quits = False
        self._drawn: Any = None
        self._ways_back = ExitStack()

    async def show(self, frame: Callable[[int, int, bool], Frame]) -> None:
        """Draws frames of a width, a height and in ASCII only or not, until `q` is pressed."""
        ascii_only = not self._console.encoding.startswith("utf")
        while not self._quits:
            width, height = os.get_terminal_size(sys.stdout.fileno())
            shown = frame(width, height, ascii_only)
            if shown.sameness != self._drawn:
                self._drawn = shown.sameness
                self._console.size = (width, height)
                self._live.update(shown.draw(), refresh=True)
            await asyncio.sleep(_TICK_S)

    def __enter__(self) -> Screen:
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._quit)
                stack.callback(loop.remove_signal_handler, number)
            loop.add_signal_handler(signal.SIGTSTP, self._suspend)
            stack.callback(loop.remove_signal_handler, signal.SIGTSTP)
            if sys.stdin.isatty():
                keys = sys.stdin.fileno()
                stack.callback(termios.tcsetattr, keys, termios.TCSADRAIN, termios.tcgetattr(keys))
                tty.setcbreak(keys)
                loop.add_reader(keys, self._on_key)
                stack.callback(loop.remove_reader, keys)
            stack.callback(self._live.stop)
            self._live.start()
            self._ways_back = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ways_back.close()

    def _on_key(self) -> None:
        pressed = os.read(sys.stdin.fileno(), 64)
        if not pressed or pressed.lower() == b"q":  # none: the terminal is gone
            self._quit()

    def _quit(self) -> None:
        self._quits = True

    def _suspend(self) -> None:
        """Ctrl-Z: the shell gets its terminal as it was, and we take it over again when we go on."""
        self._ways_back.close()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._drawn = None
        self.__enter__()
