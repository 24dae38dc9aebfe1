"""One text on its way: what is known of it, from its acceptance to its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from libacli.core.asked import Asked
from libacli.core.audio import FRAME_MS, frames_of, is_audible
from libacli.core.event import Report
from libacli.core.lifecycle import FINAL_STATES, State, check_move
from libacli.core.messages import SayRequest
from libacli.core.passage import Passage
from libacli.core.route import RouteName
from libacli.core.timeline import Timeline


@dataclass(eq=False)
class Utterance:
    """One text to be spoken and all that is known about it so far."""

    request: SayRequest
    timeline: Timeline
    state: State = "accepted"

    reason: str = ""
    """Why it was interrupted, failed or went unconfirmed."""

    route: RouteName | None = None
    """Once it is chosen; `route_reason` says why it is not the avatar."""

    route_reason: str = ""
    voice: str = ""
    """Name of the speaker whose voice it is."""

    model: str = ""
    provider: str = ""
    """Whose voice it is; `voice_reason` says why it is not the one that is asked first."""

    voice_reason: str = ""
    reworded: bool = False
    """The voice used other words, as far as it knows itself."""

    hedged: bool = False
    """For a part of it a second request to the voice was the quicker one."""

    cached: bool = False
    """It was spoken before, and kept: the voice was not asked."""

    chunks: int = 0
    """Requests to the voice so far."""

    frames: int = 0
    """20 ms frames that the sink took, the silence at the end included."""

    first_sound: int | None = None
    """Number of the first frame with a sound in it, from 0; `last_sound` of the last one."""

    last_sound: int = 0

    passages: Sequence[Passage] = ()
    """What the voice said of it, and says, in order."""

    hold: float = 0.0
    """Milliseconds for which the first sound was held back, to have the rest follow without a break."""

    underruns: int = 0
    """Times the sink ran dry in the middle of the utterance."""

    t3_source: str = ""
    replayed: bool = False

    resumed: bool = False
    """It is said again from its beginning: in the middle of it its agent died, or lost its connection."""

    account: str = ""
    """Who pays for it."""

    asked_chars: int = 0
    """Characters that the voice was asked for so far, those included that it had to be asked for again."""

    asked_s: float = 0.0
    """Seconds of sound that it made of them."""

    is_owners: bool = False
    """The owner has it said, and no guest."""

    paused_s: float = 0.0
    """For how long of its waiting the queue was paused: that does not count against its time to live."""

    rank: float = 0.0
    """Less goes first; of a queue that knows it."""

    is_handed_on: bool = False
    """It is another agent's to say: nothing more is told of it here."""

    ended_at: float | None = None
    """When it reached a final state, or was handed on, on the timeline's clock."""

    @property
    def id(self) -> str:
        return self.request.id

    @property
    def is_on_standby(self) -> bool:
        """It waits for its go-ahead."""
        return self.request.standby and self.state == "accepted"

    @property
    def speech_ms(self) -> float:
        """Milliseconds from the first to the last frame with a sound in it."""
        return 0.0 if self.first_sound is None else (self.last_sound - self.first_sound + 1) * FRAME_MS

    def heard_s(self, now: float) -> float:
        """How many seconds of it have been heard at `now`, on the timeline's clock; all of it: infinite."""
        if self.state in ("done", "unconfirmed"):
            return math.inf
        if (began_at := self.timeline.ta) is None or self.first_sound is None:
            return 0.0
        until = now if self.ended_at is None else min(now, self.ended_at)
        played_s = self.first_sound * FRAME_MS / 1000 + until - began_at
        return min(played_s, self.frames * FRAME_MS / 1000)

    def took(self, frames: bytes) -> None:
        """Counts frames that the sink has taken."""
        for frame in frames_of(frames):
            if is_audible(frame):
                self.first_sound = self.frames if self.first_sound is None else self.first_sound
                self.last_sound = self.frames
            self.frames += 1

    def resume(self) -> None:
        """It begins again; what was counted of it does, too. Its marks stay: those are of its first sound."""
        self.resumed = True
        self.chunks = self.frames = self.last_sound = self.underruns = 0
        self.first_sound, self.hold = None, 0.0

    @property
    def is_over(self) -> bool:
        return self.state in FINAL_STATES or self.is_handed_on

    def hand_on(self, now: float) -> None:
        """It is over here, and its end is another agent's to tell."""
        self.is_handed_on, self.ended_at = True, now

    def become(self, state: State, now: float, *, reason: str = "") -> bool:
        """Moves on to `state`; False, and nothing changes, when it has ended or is there. See `lifecycle`."""
        if self.is_handed_on or not check_move(self.state, state):
            return False
        self.state = state
        self.reason = reason
        if self.is_over:
            self.ended_at = now
        return True

    def asked(self) -> Asked:
        """What it has cost so far, and whom."""
        return Asked(self.account, self.asked_chars, round(self.asked_s * 1000, 2))

    def report(self) -> Report:
        """What may be told to anybody in the room: no spoken text."""
        return Report(
            id=self.id,
            state=self.state,
            reason=self.reason,
            route=self.route,
            route_reason=self.route_reason,
            voice=self.voice,
            provider=self.provider,
            voice_reason=self.voice_reason,
            reworded=self.reworded,
            hedged=self.hedged,
            cached=self.cached,
            emotion=self.request.emotion or "",
            standby=self.is_on_standby,
            chunks=self.chunks,
            frames=self.frames,
            speech_ms=self.speech_ms,
            hold=self.hold,
            underruns=self.underruns,
            t3_source=self.t3_source,
            replayed=self.replayed,
            resumed=self.resumed,
            chars=len(self.request.words),
            **self.timeline.durations_ms(),
        )
