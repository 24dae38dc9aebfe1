"""What `liba play` shows: a line for each cue that is over, and on a terminal a clock of what remains."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from rich.live import Live
from rich.text import Text

from libacli.cli.output import output, plain_console
from libacli.cli.screens.cells import clean, columns
from libacli.cli.streams import write_no_more
from libacli.config import Settings
from libacli.core.cue import Cue, Problem
from libacli.core.cue_result import CueResult
from libacli.core.show_clock import ShowClock
from libacli.core.show_plan import ShowLine, ShowPlan, estimate_s, starts_s

_PICTURES_A_SECOND = 4


class ShowScreen:
    """A context manager, inside a running loop. Implements the player's `Watcher`.

    On a terminal Enter, or the space bar, calls what `begin` was given.
    """

    def __init__(self, cues: Sequence[Cue], *, as_json: bool) -> None:
        self._cues = cues
        self._as_json = as_json
        self._now = asyncio.get_running_loop().time
        self._began_at = self._now()
        self._clock = ShowClock({})
        self._go: Callable[[], None] = lambda: None
        self._doing = "begins"
        self._noted = ""
        self._ways_back = ExitStack()
        self.unwritten: OSError | None = None
        """Why the rest of what is to be told of cues cannot be."""

    def begin(self, plan: ShowPlan, go: Callable[[], None]) -> None:
        """A round begins; `go` gives the go-ahead."""
        self._go = go
        pauses = [*plan.rest, *(pause for line in plan.lines for pause in line.pauses)]
        self._clock = ShowClock.of(
            {line.number: estimate_s(line.cue) for line in plan.lines},
            {number: cue.pause_s for number, cue in pauses},
        )

    def pauses(self, number: int, cue: Cue) -> None:
        self._begins(number, f"{self._name(number, cue)}  pause")

    def waits(self, line: ShowLine) -> None:
        self._doing = f"{self._name(line.number, line.cue)}  waits: Enter, or liba next"
        if not self._shows_clock:
            output.status(f"{self._name(line.number, line.cue)} waits: liba next{_of_room(line.room)}")

    def speaks(self, line: ShowLine) -> None:
        self._begins(line.number, f"{self._name(line.number, line.cue)}  speaking")

    def over(self, result: CueResult, cue: Cue) -> None:
        took_s = result.ended - result.started if result.ended and result.started is not None else None
        self._clock.end(result.number, took_s)
        self._noted = ""
        try:
            if self._as_json:
                output.ndjson(result.encode())
            else:
                output.result(self._line(result, cue))
        except BrokenPipeError:  # who reads this has had enough, not who listens
            write_no_more()
        except OSError as error:  # nor does a disk that is full concern them: it is told in the end
            write_no_more()
            self.unwritten = error

    def note(self, words: str) -> None:
        """Once, until the next cue is over."""
        if words != self._noted:
            self._noted = words
            output.status(words)

    def __enter__(self) -> ShowScreen:
        with ExitStack() as stack:
            self._read_keys(stack)
            console = plain_console(stderr=True)
            self._shows_clock = console.is_terminal and not output.quiet
            if self._shows_clock:
                live = Live(
                    get_renderable=lambda: Text(self.clock_line(), no_wrap=True, overflow="ellipsis"),
                    console=console,
                    refresh_per_second=_PICTURES_A_SECOND,
                    transient=True,
                    redirect_stdout=sys.stdout.isatty(),
                )
                stack.enter_context(live)
            self._ways_back = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ways_back.close()

    def clock_line(self) -> str:
        """What goes on, and what remains."""
        now_s = self._now() - self._began_at
        told = self._doing
        if number := self._clock.current:
            told += (
                f" {_minutes(now_s - self._clock.began_s)} of about {_minutes(self._clock.of_cue_s(number))}"
            )
        return f"{_minutes(now_s)}  {told}  remaining about {_minutes(self._clock.remaining_s(now_s))}"

    def _begins(self, number: int, doing: str) -> None:
        self._clock.begin(number, self._now() - self._began_at)
        self._doing = doing

    def _name(self, number: int, cue: Cue) -> str:
        label = f" {clean(cue.label)}" if cue.label else ""
        return f"cue {number}/{len(self._cues)}{label}"

    def _line(self, result: CueResult, cue: Cue) -> str:
        times = "-".join("..." if at is None else _minutes(at) for at in (result.started, result.ended))
        words = f"{times}  {self._name(result.number, cue)}  {result.state}"
        words += "  pause" if cue.pause_s else ""
        words += f"  route={result.route}" if result.route else ""
        return words + (f"  {clean(result.reason)}" if result.reason else "")

    def _read_keys(self, stack: ExitStack) -> None:
        """Of the terminal, where it is ours: a job in the background would be stopped for it."""
        if not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
            return
        keys, loop = sys.stdin.fileno(), asyncio.get_running_loop()
        stack.callback(termios.tcsetattr, keys, termios.TCSADRAIN, termios.tcgetattr(keys))
        tty.setcbreak(keys)
        loop.add_reader(keys, self._on_key, keys)
        stack.callback(loop.remove_reader, keys)

    def _on_key(self, keys: int) -> None:
        pressed = os.read(keys, 64)
        if not pressed:  # the terminal is gone
            asyncio.get_running_loop().remove_reader(keys)
        elif set(pressed) & set(b"\r\n "):
            self._go()


def show_check(
    file: Path,
    cues: Sequence[Cue],
    start: int,
    problems: Sequence[Problem],
    settings: Settings,
    *,
    as_json: bool,
) -> None:
    """Prints what is known of a show before it begins, from the cue at index `start` on."""
    rows = list(zip(range(start + 1, len(cues) + 1), cues[start:], starts_s(cues[start:]), strict=True))
    total_s = sum(estimate_s(cue) for cue in cues[start:])
    if as_json:
        told = [_encoded(number, cue, at_s, settings) for number, cue, at_s in rows]
        faults = [{"line": one.line or None, "problem": one.message} for one in problems]
        output.json({"cues": told, "total_s": round(total_s, 1), "problems": faults})
        return
    table = [("CUE", "AT", "TAKES", "LINE", "LABEL", "VOICE", "WHAT")]
    for number, cue, at_s in rows:
        what = _kind(cue) + ("  step" if cue.step else "")
        labels = " / ".join((*cue.labels_above, cue.label))
        takes, line, voice = _minutes(estimate_s(cue)), str(cue.line or ""), _voice(cue, settings) or ""
        table.append((str(number), _minutes(at_s), takes, line, labels, voice, what))
    if rows:
        output.text("".join(f"{row}\n" for row in columns(table)))
        output.status(f"about {_minutes(total_s)} in all, waiting aside")
    for problem in problems:
        output.status(told_problem(file, problem))


def told_problem(file: Path, problem: Problem) -> str:
    """It, behind the place of it."""
    place = f"{file}:{problem.line}" if problem.line else str(file)
    return clean(f"{place}: {problem.message}")


def _encoded(number: int, cue: Cue, at_s: float, settings: Settings) -> dict[str, object]:
    return {
        "number": number,
        "label": cue.label,
        "labels_above": cue.labels_above,
        "line": cue.line or None,
        "kind": _kind(cue),
        "at_s": round(at_s, 1),
        "takes_s": round(estimate_s(cue), 1),
        "voice": _voice(cue, settings),
        "room": cue.room,
        "step": cue.step,
    }


def _kind(cue: Cue) -> str:
    return "pause" if cue.pause_s else "audio" if cue.audio else "text"


def _voice(cue: Cue, settings: Settings) -> str | None:
    """Who is asked to speak it; empty: the usual one, None: nobody."""
    return cue.voice or settings.voice_name if cue.text else None


def _of_room(room: str) -> str:
    return f" --room {clean(room)}"


def _minutes(seconds: float) -> str:
    """As on a clock: `0:04`, `1:02:03`."""
    hours, rest = divmod(round(max(0.0, seconds)), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
