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
from libacli.running_stack import Part, RunningStack, stack_file

_END_S = 30.0
"""For all parts one after the other, each with its conversations to end."""

_POLL_S = 0.1
_FOLLOW_S = 0.25
_TAIL_BYTES = 1_000_000


class NothingRunsError(LibaError):
    """There is no stack on this machine."""


def list_parts(*, as_json: bool) -> None:
    """Prints the parts of the stack that runs here; none where nothing runs."""
    found = stack_file().read()
    parts = found.parts if found else []
    if as_json:
        output.json({"pid": found.pid if found else None, "parts": [_row(part) for part in parts]})
    elif found:
        from libacli.cli.screens.parts import parts_table

        output.table(parts_table([(part, is_running(str(part.pid))) for part in parts]))
    else:
        output.status("nothing runs on this machine; liba up starts it")


def _row(part: Part) -> dict[str, object]:
    return {**asdict(part), "running": is_running(str(part.pid))}


def show_logs(part: str, *, lines: int, follow: bool) -> None:
    """Prints the last lines of each log, with its part's name where it is not the only one.

    Raises NothingRunsError, UsageError for a part that there is not.
    """
    found = _found()
    names = [one.name for one in found.parts]
    if part and part not in names:
        raise UsageError(f"there is no part {part!r}", hint=f"what runs: {', '.join(names)}")
    tails = [_Tail(one, named=not part) for one in found.parts if part in ("", one.name)]
    for tail in tails:
        for line in tail.last(lines):
            output.result(line)
    while follow:
        time.sleep(_FOLLOW_S)
        for tail in tails:
            for line in tail.new():
                output.result(line)


def end_stack() -> None:
    """Ends it, and returns when it has ended. Raises TimedOutError when it has not in 30 s."""
    file = stack_file()
    found = file.read()
    if not found:
        output.status("nothing runs on this machine")
        return
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGTERM)
    output.status(f"ending {', '.join(part.name for part in found.parts)}...")
    deadline = time.monotonic() + _END_S
    while file.is_owned():
        if time.monotonic() > deadline:
            raise TimedOutError(
                f"it has not ended within {_END_S:g} s", hint=f"kill -9 {found.pid} ends it at once"
            )
        time.sleep(_POLL_S)
    output.status("ended")


def _found() -> RunningStack:
    if found := stack_file().read():
        return found
    raise NothingRunsError("nothing runs on this machine", hint="start it: liba up")


@dataclass
class _Tail:
    """The end of one log, and what comes after it."""

    part: Part
    named: bool
    _at: int = 0

    def last(self, lines: int) -> Sequence[str]:
        path = Path(self.part.log)
        with suppress(OSError):
            self._at = max(0, path.stat().st_size - _TAIL_BYTES)
        return list(self.new())[-lines:] if lines else list(self.new())[:0]

    def new(self) -> Iterator[str]:
        """Lines that have been written to their ends since."""
        with suppress(OSError), Path(self.part.log).open("rb") as log:
            log.seek(self._at)
            content = log.read(_TAIL_BYTES)
            whole = content[: content.rfind(b"\n") + 1]
            self._at += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                yield f"{self.part.name:6} | {line}" if self.named else line
