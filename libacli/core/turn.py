"""The avatar's turn: one utterance, from the opening of its stream to what became of it.

Pure: a turn is told what happened, and when (`now`, in seconds of a clock that only goes on), and answers
what follows. Streams, calls and waiting are of whoever tells it.

    opening   the stream is asked for
    writing   it is open and takes frames
    closing   all frames are in it, and its close is asked for
    playing   it is closed; what is in it sounds, and the avatar owes the report of the end
    over      there is a verdict, and nothing changes it

What the avatar reports is a hint; what comes back of its sound is known. A line ends when it was heard to
its end, at once if the avatar says so too; one that is not heard, from its beginning or from somewhere on, is
lost. Reports may be early, late, of another line, or never come: no line is lost by that, no avatar given up.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from libacli.core.return_feed import STALLED_S, SWALLOWED_S, ReturnFeed
from libacli.core.turn_history import FINISH_MARGIN_S, TurnHistory

State = Literal["opening", "writing", "closing", "playing", "over"]
Happening = Literal["opened", "wrote", "closing", "closed", "ended", "lost", "cleared"]

# Everything that moves a turn on is here. What is not in the row of a state cannot happen in it; only when it
# is over anything may, and changes nothing: its end may come in the middle of a call.
_NEXT: dict[State, dict[Happening, State]] = {
    "opening": {"opened": "writing", "lost": "over", "cleared": "over"},
    "writing": {"wrote": "writing", "closing": "closing", "lost": "over", "cleared": "over"},
    "closing": {"closed": "playing", "ended": "over", "lost": "over", "cleared": "over"},
    "playing": {"ended": "over", "lost": "over", "cleared": "over"},
    "over": {},
}

LEAD_S = 2.0
"""How much sound is sent ahead of its time: what is interrupted or lost is not more than this."""

_IN_TIME_S = 0.2
"""A report that comes no sooner than this before the end is not early: a call is quicker than sound is heard,
by what encoders and jitter buffers hold."""

_QUIET_S = 0.1
"""After so much silence sound has ended whose end was reported too early: within words it is shorter."""

_ECHO_S = 0.03
"""What was heard so shortly before the end may go on for a moment."""

_LIKELY_WAY = 0.8
"""What is heard sooner than in this part of the shortest way so far cannot be what was just sent: ways differ
less than that, and what is left of another turn is heard at once or not at all."""

_BEHIND_S = 0.1
"""Who asks so late was held up himself: what he has not heard may be waiting for him."""


@dataclass(frozen=True)
class Verdict:
    """What became of a turn."""

    outcome: Literal["reported", "estimated", "lost", "cleared"]
    """`reported`: the avatar said so; `estimated`: it was heard to its end, and no report came in time;
    `lost`: it has to be said again, by somebody else; `cleared`: it was not to be heard any more."""

    reason: str = ""
    """Why it was lost."""

    gives_up: str = ""
    """Why the avatar is not to be given another turn; empty: it is."""


_STALLED = Verdict("lost", "stalled", gives_up="stalled")


class Turn:
    """One utterance's. `audible_timeout_s` is how long the avatar may take from sound sent to sound heard.

    Who is deaf to the avatar, because nothing of its track comes, cannot say that it is silent. Then it is
    believed what it reports, as far as there was time for it; if it reports nothing either, the line is lost
    when that is overdue.
    """

    def __init__(self, history: TurnHistory, *, audible_timeout_s: float) -> None:
        self.state: State = "opening"
        self.verdict: Verdict | None = None
        self._history = history
        self._audible_timeout_s = audible_timeout_s
        self._feed = ReturnFeed()
        self._is_deaf = self._has_started = False
        self._reported_at: float | None = None
        self._asked_late_at = -math.inf
        self._is_silenced = False
        self._may_be_another = False
        self._stream: Literal["none", "open", "given up"] = "none"

    def opened(self) -> None:
        """The stream is there."""
        self._stream = "open"
        if self._move("opened"):
            self._may_be_another, self._history.may_echo = self._history.may_echo, False
            self._feed.way_s = self._history.shortest_way_s

    def pause_s(self, now: float) -> float:
        """Seconds that the next frame has to wait, so that no more than `LEAD_S` is sent ahead."""
        return self._feed.sent_until - LEAD_S - now

    def wrote(self, now: float, *, loudness: int) -> None:
        """A frame is in the stream; `loudness` is its `loudness_of`."""
        if self._move("wrote"):
            self._feed.sent(now, loudness=loudness)

    def closing(self) -> None:
        """All frames are in the stream, and its close is asked for, which can be done once only."""
        self._stream = "given up"
        self._move("closing")

    def closed(self) -> None:
        """The avatar knows that this was all."""
        self._move("closed")

    def listened(self, now: float, seconds: float, *, is_audible: bool) -> bool:
        """So much more came of the avatar's track. Whether that is the first sound of this turn."""
        feed = self._feed
        if self.state == "over":
            return False
        if feed.heard_at is not None:
            hole_s = feed.listened(now, seconds, is_audible=is_audible)
            self._history.learn_hole(hole_s)
            return False
        if not is_audible or not self._may_be_heard(now):
            return False
        feed.listened(now, seconds, is_audible=True)
        if self._is_deaf:  # it may have been sounding for long
            feed.way_s = self._history.shortest_way_s
        return True

    def deaf(self, now: float) -> None:
        """Nothing of the avatar's track comes, not even silence."""
        if self._feed.audible_at is not None and now >= self._feed.audible_at + _IN_TIME_S:
            self._is_deaf = True  # for this turn, whatever comes later: its beginning was missed

    def started(self) -> None:
        """The avatar says that it has begun to play."""
        self._has_started = True

    def reported(self, now: float) -> bool:
        """The avatar reports an end. Whether it may be that of this turn."""
        is_waited_for = self.state in ("closing", "playing") and self._reported_at is None
        if self._history.takes_report(now) or not is_waited_for:
            return False
        self._reported_at = now
        return True

    def lost(self, reason: str, *, gives_up: str = "") -> None:
        """It cannot go on there."""
        self._end("lost", Verdict("lost", reason, gives_up))

    def cleared(self) -> None:
        """It is not to be heard any more, also when it was lost before."""
        self._end("cleared", Verdict("cleared", "cleared"))
        self._history.may_echo = self._history.may_echo or self.has_to_be_silenced

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
        if self.verdict or self._is_well(now):
            return self.verdict
        due_at, verdict = self._prospect()
        if now < due_at:
            return None
        if verdict.outcome != "lost":
            self._learn_end(verdict, now)
            self._end("ended", verdict)
        elif now <= due_at + _BEHIND_S or due_at <= self._asked_late_at + _BEHIND_S:
            self._end("lost", verdict)
        else:
            self._asked_late_at = now
        return self.verdict

    def due_at(self, now: float) -> float:
        """When it is to be judged again, if before that no report comes, and no first sound."""
        due_at, verdict = self._prospect()
        if self._feed.heard_at is None or verdict.outcome != "lost":
            return due_at
        end_in_sight_at = self._feed.out_at - SWALLOWED_S
        return min(due_at, max(end_in_sight_at, now + _QUIET_S))

    def _is_well(self, now: float) -> bool:
        heard_at = self._feed.heard_at
        return self.state == "writing" and heard_at is not None and now < heard_at + STALLED_S

    def _prospect(self) -> tuple[float, Verdict]:
        """When time will decide, if nothing else happens before, and what."""
        feed, history = self._feed, self._history
        again_at = self._asked_late_at + _BEHIND_S
        if feed.heard_at is not None and feed.unheard_s >= SWALLOWED_S:
            return max(feed.silent_until(history.stalled_s), again_at), _STALLED
        if feed.heard_at is None and feed.audible_at is not None and self._has_to_be_heard:
            audible_by = feed.audible_at + history.audible_s(self._audible_timeout_s)
            return max(audible_by, again_at), _STALLED
        if self._reported_at is not None:
            return self._reported_end(self._reported_at), Verdict("reported")
        if self.state != "playing":
            return math.inf, _STALLED
        if feed.heard_at is None:
            over_at = feed.out_at + FINISH_MARGIN_S
            is_unknown = feed.has_to_be_heard and not self._has_started
            return (max(over_at, again_at), _STALLED) if is_unknown else (over_at, Verdict("estimated"))
        ended_at = min(self._heard_out_at() + history.margin_s, feed.out_late_at + FINISH_MARGIN_S)
        return ended_at, Verdict("estimated")

    @property
    def _has_to_be_heard(self) -> bool:
        return self._feed.has_to_be_heard and not self._is_deaf

    def _reported_end(self, reported_at: float) -> float:
        """When the line is over whose end is reported: at once, or, if that is early, when it is silent."""
        feed = self._feed
        if reported_at >= feed.out_late_at - _IN_TIME_S:
            return reported_at
        if feed.heard_at is None:
            return feed.out_at
        quiet_at = max(feed.out_late_at, feed.heard_at + _QUIET_S)
        silent_until = feed.silent_until(self._history.stalled_s)
        return min(quiet_at, silent_until, feed.out_late_at + FINISH_MARGIN_S)

    def _heard_out_at(self) -> float:
        """When it was heard to its end, if nothing more is heard."""
        feed = self._feed
        heard_out_at = max(feed.out_late_at, feed.heard_at or -math.inf)
        return min(heard_out_at, feed.silent_until(self._history.stalled_s))

    def _may_be_heard(self, now: float) -> bool:
        """Whether what is heard can be of this turn, and not of the one before."""
        if self._feed.audible_at is None:
            return False
        least_s = _LIKELY_WAY * self._history.shortest_way_s
        return not self._may_be_another or now - self._feed.audible_at >= least_s

    def _learn_end(self, verdict: Verdict, now: float) -> None:
        feed = self._feed
        if feed.heard_at is not None:
            reported_at = self._reported_at if verdict.outcome == "reported" else None
            self._history.learn_end(self._heard_out_at(), reported_at)
            self._history.may_echo = now < max(feed.out_at, feed.heard_at + _ECHO_S)

    def _end(self, happening: Happening, verdict: Verdict) -> None:
        if self._move(happening):
            self.verdict = verdict
            if self._feed.heard_at is not None and not self._may_be_another and not self._is_deaf:
                self._history.learn_way(self._feed.way_s)

    def _move(self, happening: Happening) -> bool:
        """Whether that changes anything. Raises RuntimeError for what cannot happen now."""
        if self.state == "over":
            return False
        if happening not in _NEXT[self.state]:
            raise RuntimeError(f"a turn that is {self.state} cannot be {happening}")
        self.state = _NEXT[self.state][happening]
        return True


def position_told(payload: str) -> str | None:
    """What an avatar's report says of how far it played, in words; None when it is no report.

    Nothing depends on it: that the end is reported counts, and services pad the position, write it as text,
    or leave it out.
    """
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not told.keys() & {"playback_position", "interrupted"}:
        return None
    position: Any = told.get("playback_position")
    try:
        seconds = math.nan if isinstance(position, bool) else float(position)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    return f"at {seconds:.2f} s" if 0 <= seconds < math.inf else "at a place that it does not tell"
