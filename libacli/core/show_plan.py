"""The lines of a show: each line with the silence before it, and whether it has to stand by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libacli.core.cue import Cue
from libacli.core.script import Pause, read_script
from libacli.core.speaking_time import usual_s


@dataclass(frozen=True)
class ShowLine:
    """One line of a show, when its time comes."""

    number: int
    """That of its cue, from 1."""

    cue: Cue
    room: str
    pauses: tuple[tuple[int, Cue], ...] = ()
    """Pauses before it, with their numbers."""

    waits: bool = False
    """It begins when somebody gives the go-ahead."""

    is_on_standby: bool = False
    """It does not simply follow what is before it: there is a pause, a step, or another room."""

    @property
    def first(self) -> tuple[int, Cue]:
        """Where a show has to go on so that this line comes."""
        return self.pauses[0] if self.pauses else (self.number, self.cue)

    @property
    def pause_s(self) -> float:
        return sum(cue.pause_s for _, cue in self.pauses)


@dataclass(frozen=True)
class ShowPlan:
    """All that is to come."""

    lines: tuple[ShowLine, ...]
    rest: tuple[tuple[int, Cue], ...] = ()
    """Pauses behind the last line."""


def plan_show(cues: Sequence[Cue], *, room: str, start: int = 0, steps: bool = False) -> ShowPlan:
    """The lines from the cue at index `start` on; `room` is for those that name none, `steps`: each waits."""
    lines: list[ShowLine] = []
    pauses: list[tuple[int, Cue]] = []
    for number, cue in enumerate(cues[start:], start + 1):
        if cue.pause_s:
            pauses.append((number, cue))
            continue
        where, waits = cue.room or room, steps or cue.step
        is_elsewhere = bool(lines) and lines[-1].room != where
        is_on_standby = waits or bool(pauses) or is_elsewhere
        lines.append(ShowLine(number, cue, where, tuple(pauses), waits, is_on_standby))
        pauses = []
    return ShowPlan(tuple(lines), tuple(pauses))


def estimate_s(cue: Cue) -> float:
    """About how long it takes, in seconds; a sound that nobody has looked at: 0."""
    if not cue.text:
        return cue.sound.seconds if cue.sound else cue.pause_s
    return sum(
        item.seconds if isinstance(item, Pause) else usual_s(item, cue.speed or 1.0)
        for item in read_script(cue.text)
    )


def starts_s(cues: Sequence[Cue]) -> list[float]:
    """About when each begins, in seconds since the first one, if nobody has to give a go-ahead."""
    starts, now = [], 0.0
    for cue in cues:
        starts.append(now)
        now += estimate_s(cue)
    return starts
