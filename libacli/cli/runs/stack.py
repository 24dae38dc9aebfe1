"""Runs `liba ps`, `logs` and `down`: what there is of a stack, what it tells, its end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from libacli.cli.output import output
from libacli.errors import LibaError, TimedOutError, UsageError
from libacli.local.log_files import is_running
from libacli.running_stack import Part, RunningStack, StackFile, stack_file

_END_S = 30.0
"""For all parts one after the other, each with its conversations to end."""

_POLL_S = 0.1
_FOLLOW_S = 0.25
_TAIL_BYTES = 1_000_000


def list_parts(*, as_json: bool) -> None:
    """Prints the parts of the stack that runs here; none where nothing runs."""
    file = stack_file()
    found = file.read()
    parts = found.parts if found else []
    if as_json:
        output.json({"pid": found.pid if found else None, "parts": [_row(part) for part in parts]})
    elif found:
        from libacli.cli.screens.parts import parts_table

        output.table(parts_table([(part, is_running(str(part.pid))) for part in parts]))
    else:
        output.status(_why_none(file))


def _row(part: Part) -> dict[str, object]:
    return {**asdict(part), "running": is_running(str(part.pid))}


def show_logs(part: str, *, lines: int, follow: bool, as_json: bool) -> None:
    """Prints the last lines of each log, with its part's name where it is not the only one.

    Raises LibaError where nothing runs, UsageError for a part that there is not.
    """
    found = _found()
    names = [one.name for one in found.parts]
    if part and part not in names:
        raise UsageError(f"there is no part {part!r}", hint=f"what runs: {', '.join(names)}")
    tails = [_Tail(one) for one in found.parts if part in ("", one.name)]

    def show(tail: _Tail, line: str) -> None:
        if as_json:
            output.ndjson({"part": tail.part.name, "line": line})
        else:
            output.result(line if part else f"{tail.part.name:6} | {line}")

    for tail in tails:
        for line in tail.last(lines):
            show(tail, line)
    while follow:
        time.sleep(_FOLLOW_S)
        for tail in tails:
            for line in tail.new():
                show(tail, line)


def end_stack(*, as_json: bool) -> None:
    """Ends it, and returns when it has ended. Raises TimedOutError when it has not in 30 s."""
    file = stack_file()
    found = file.read()
    parts = [part.name for part in found.parts] if found else []
    if found:
        output.status(f"ending {', '.join(parts)}...")
        _end(file, found.pid)
        output.status("ended")
    else:
        output.status(_why_none(file))
    if as_json:
        output.json({"ended": parts})


def _end(file: StackFile, pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_S
    while file.is_owned():
        if time.monotonic() > deadline:
            raise TimedOutError(
                f"it has not ended within {_END_S:g} s", hint=f"kill -9 {pid} ends it at once"
            )
        time.sleep(_POLL_S)


def _found() -> RunningStack:
    file = stack_file()
    if found := file.read():
        return found
    raise LibaError(_why_none(file), hint="liba up starts it, and says when it is there")


def _why_none(file: StackFile) -> str:
    return "it is still starting" if file.is_owned() else "nothing runs on this machine"


@dataclass
class _Tail:
    """The end of one log, and what comes after it."""

    part: Part
    _at: int = 0

    def last(self, lines: int) -> Sequence[str]:
        path = Path(self.part.log)
        with suppress(OSError):
            self._at = max(0, path.stat().st_size - _TAIL_BYTES)
        found = list(self.new())
        return found[max(0, len(found) - lines) :]

    def new(self) -> Iterator[str]:
        """Lines that have been written to their ends since."""
        with suppress(OSError), Path(self.part.log).open("rb") as log:
            log.seek(self._at)
            content = log.read(_TAIL_BYTES)
            whole = content[: content.rfind(b"\n") + 1]
            self._at += len(whole)
            yield from whole.decode(errors="replace").splitlines()
