"""The avatar's turn: one utterance, from the opening of its stream to what became of it.

Pure: a turn is told what happened, and when (`now`, in seconds of a clock that only goes on), and answers
what follows. Streams, calls and waiting are of whoever tells it.

    opening   the stream is asked for
    writing   it is open and takes frames
    closing   all frames are in it, and its close is asked for
    playing   it is closed; the avatar owes the report of the end
    over      there is a verdict, and nothing changes it
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Literal

from libacli.core.audio import FRAME_MS

State = Literal["opening", "writing", "closing", "playing", "over"]
Happening = Literal["opened", "wrote", "closing", "closed", "reported", "overdue", "lost", "cleared"]

# Everything that moves a turn on is here. What is not in the row of a state cannot happen in it; only when it
# is over anything may, and changes nothing: its end may come in the middle of a call.
_NEXT: dict[State, dict[Happening, State]] = {
    "opening": {"opened": "writing", "lost": "over", "cleared": "over"},
    "writing": {"wrote": "writing", "closing": "closing", "lost": "over", "cleared": "over"},
    "closing": {"closed": "playing", "reported": "over", "lost": "over", "cleared": "over"},
    "playing": {"reported": "over", "overdue": "over", "lost": "over", "cleared": "over"},
    "over": {},
}

LEAD_S = 2.0
"""How much sound is sent ahead of its time: what is interrupted or lost is not more than this."""

FINISH_MARGIN_S = 3.0
"""How long after the last frame was due its report may take: the way there, the picture, the call back."""

MISSES_ALLOWED = 1
"""Turns in a row that may end without a report: one call may get lost, two mean that none will come."""

_LIKELY_WAY = 0.8
"""What is heard sooner than in this part of the shortest way so far cannot be what was just sent: ways differ
less than that, and what is left of a cleared turn is heard at once or not at all."""

_POSITION_TOLERANCE = 0.2
_POSITION_TOLERANCE_S = 0.1
"""How far, as a part and in seconds, a reported position may be from what was sent. Not in the protocol: an
avatar may leave out silence or count pictures, while the report of another line is mostly further off."""

_LEAST_PLAYED = 0.5
"""Part of its length for which a line has run at least when its end is reported. Not in the protocol: an
avatar may report when its pictures are made, before they are shown, and is hardly twice as fast as that."""

_LEAST_PLAYED_AFTER_MISS = 0.95
"""The same while the report of an earlier line is still due and may be as long as this one's."""

_FRAME_S = FRAME_MS / 1000


@dataclass(frozen=True)
class Verdict:
    """What became of a turn."""

    outcome: Literal["reported", "estimated", "lost", "cleared"]
    """`reported`: the avatar said so; `estimated`: it was heard and no report came in time; `lost`: it has to
    be said again, by somebody else; `cleared`: it was not to be heard any more."""

    reason: str = ""
    """Why it was lost."""

    gives_up: str = ""
    """Why the avatar is not to be given another turn; empty: it is."""


@dataclass
class TurnHistory:
    """What earlier turns tell about the next one. The turns of one sink share it."""

    misses: int = 0
    """Turns in a row whose end was not reported; the report of one may still come."""

    was_cleared: bool = False
    """The last turn was cleared: what was sent of it may be heard for a moment yet."""

    shortest_way_s: float = 0.0
    """Shortest time so far from sound sent to sound heard; 0: none is known."""


class Turn:
    """One utterance's. `audible_timeout_s` is how long the avatar may take from sound sent to sound heard."""

    def __init__(self, history: TurnHistory, *, audible_timeout_s: float) -> None:
        self.state: State = "opening"
        self.verdict: Verdict | None = None
        self.pushed_s = 0.0
        """Seconds of sound and silence that are in the stream."""

        self.sounded_at: float | None = None
        """When the first frame went that is not silence."""

        self._history = history
        self._audible_timeout_s = audible_timeout_s
        self._began_at: float | None = None
        self._is_heard = False
        self._is_silenced = False
        self._follows_clear = False
        self._stream: Literal["none", "open", "given up"] = "none"

    def opened(self) -> None:
        """The stream is there."""
        self._stream = "open"
        if self._move("opened"):
            self._follows_clear, self._history.was_cleared = self._history.was_cleared, False

    def pause_s(self, now: float) -> float:
        """Seconds that the next frame has to wait, so that no more than `LEAD_S` is sent ahead."""
        return 0.0 if self._began_at is None else self._began_at + self.pushed_s - LEAD_S - now

    def wrote(self, *, handed_at: float, now: float, is_audible: bool) -> None:
        """A frame, handed over at `handed_at`, is in the stream."""
        if self._move("wrote"):
            if self._began_at is None:
                self._began_at = handed_at
            if self.sounded_at is None and is_audible:
                self.sounded_at = now
            self.pushed_s += _FRAME_S

    def closing(self, now: float) -> None:
        """All frames are in the stream, and its close is asked for, which can be done once only."""
        self._stream = "given up"
        if self._move("closing") and self._began_at is None:
            self._began_at = now

    def closed(self) -> None:
        """The avatar knows that this was all."""
        self._move("closed")

    @property
    def awaits_sound(self) -> bool:
        """Whether sound has been sent and none of it heard."""
        return self.sounded_at is not None and not self._is_heard

    def heard(self, now: float) -> bool:
        """The avatar can be heard. Whether that is the first sound of this turn: an earlier one may echo."""
        if self.sounded_at is None or self._is_heard or self.state == "over":
            return False
        way_s = now - self.sounded_at
        if self._follows_clear:
            if way_s < _LIKELY_WAY * self._history.shortest_way_s:
                return False
        else:
            self._history.shortest_way_s = min(way_s, self._history.shortest_way_s or way_s)
        self._is_heard = True
        return True

    def reported(self, position_s: float, now: float) -> bool:
        """The avatar reports an end after `position_s` seconds. Whether it is the end of this turn."""
        if self.state not in ("closing", "playing") or not self._fits(position_s, now):
            return False
        self._history.misses = 0
        return self._end("reported", Verdict("reported"))

    def lost(self, reason: str, *, gives_up: str = "") -> None:
        """It cannot go on there."""
        self._end("lost", Verdict("lost", reason, gives_up))

    def cleared(self) -> None:
        """It is not to be heard any more, also when it was lost before."""
        self._end("cleared", Verdict("cleared", "cleared"))
        self._history.was_cleared = self._history.was_cleared or self.has_to_be_silenced

    @property
    def has_to_be_silenced(self) -> bool:
        """Whether the avatar may go on with it though it is not to be heard."""
        is_unwanted = self.verdict is not None and self.verdict.outcome in ("lost", "cleared")
        return is_unwanted and self._stream != "none" and not self._is_silenced

    @property
    def has_open_stream(self) -> bool:
        return self._stream == "open"

    def silenced(self) -> None:
        """The avatar has taken it that there is nothing more to say."""
        self._is_silenced = True

    def judge(self, now: float) -> Verdict | None:
        """What became of it, if that is known by now: where nothing else happens time decides."""
        if self.verdict is None and now >= self.due_at():
            if self.awaits_sound:  # not the same as no report of the end: it was said to nobody
                self.lost("stalled", gives_up="stalled")
            else:
                self._history.misses += 1
                gives_up = "no finish" if self._history.misses > MISSES_ALLOWED else ""
                self._end("overdue", Verdict("estimated", gives_up=gives_up))
        return self.verdict

    def due_at(self) -> float:
        """When time will decide, if nothing else happens before."""
        audible_by = -math.inf if self.sounded_at is None else self.sounded_at + self._audible_timeout_s
        if self.awaits_sound:
            return audible_by
        if self.state != "playing":
            return math.inf
        return max(audible_by, (self._began_at or 0.0) + self.pushed_s + FINISH_MARGIN_S)

    def _fits(self, position_s: float, now: float) -> bool:
        least_played = _LEAST_PLAYED_AFTER_MISS if self._history.misses else _LEAST_PLAYED
        off_s = abs(position_s - self.pushed_s)
        if self._began_at is None or off_s > _POSITION_TOLERANCE * self.pushed_s + _POSITION_TOLERANCE_S:
            return False
        return now - self._began_at >= least_played * self.pushed_s

    def _end(self, happening: Happening, verdict: Verdict) -> bool:
        if not self._move(happening):
            return False
        self.verdict = verdict
        return True

    def _move(self, happening: Happening) -> bool:
        """Whether that changes anything. Raises RuntimeError for what cannot happen now."""
        if self.state == "over":
            return False
        if happening not in _NEXT[self.state]:
            raise RuntimeError(f"a turn that is {self.state} cannot be {happening}")
        self.state = _NEXT[self.state][happening]
        return True


def played_s(payload: str) -> float | None:
    """Seconds that an avatar's report says it played; None when that cannot be read."""
    try:
        position = json.loads(payload)["playback_position"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    is_number = isinstance(position, int | float) and not isinstance(position, bool)
    return float(position) if is_number and 0 <= position < math.inf else None
