"""What becomes of the lines that an agent before this one had accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libacli.core.caps import SayCaps
from libacli.core.hour import Account
from libacli.core.journal import Ended, Entry
from libacli.core.messages import SayRequest
from libacli.core.timeline import Timeline
from libacli.core.utterance import Utterance
from libacli.speech.speaker import Speaker


class SpeakersHeir:
    """Hands them to a speaker, as if it had accepted them itself. Implements `Heir`.

    `wall_clock` tells the POSIX seconds of a moment of the loop's clock.
    """

    def __init__(self, speaker: Speaker, caps: SayCaps, wall_clock: Callable[[float], float]) -> None:
        self._speaker = speaker
        self._caps = caps
        self._wall_clock = wall_clock

    def take_up(self, entry: Entry, *, is_resumed: bool) -> None:
        """See `Heir`."""
        request, t0 = entry.request, self._moment(entry.accepted_at)
        utterance = Utterance(
            request,
            Timeline(t0=t0),
            resumed=is_resumed,
            account=entry.account,
            is_owners=entry.is_owners,
            paused_s=entry.paused_s,
        )
        payer = Account(entry.account, entry.is_owners)
        self._caps.accept(payer, request.id, len(request.words), t0)
        self._speaker.take_up(utterance)

    def give_up(self, utterance_id: str, reason: str) -> None:
        """See `Heir`."""
        utterance = Utterance(SayRequest("", id=utterance_id), Timeline(t0=self._now()))
        self._speaker.give_up(utterance, reason=reason)

    def remember(self, ended: Ended) -> None:
        """See `Heir`."""
        ended_at = self._moment(ended.ended_at)
        self._speaker.remember(
            Utterance(
                SayRequest("", id=ended.id),
                Timeline(t0=ended_at),
                state=ended.state,
                reason=ended.reason,
                ended_at=ended_at,
            )
        )

    def pause(self, paused_at: float) -> None:
        """See `Heir`."""
        self._speaker.stay_paused(since=self._moment(paused_at))

    def _moment(self, at: float) -> float:
        """Of POSIX seconds, on the loop's clock; not later than now, whatever another machine's says."""
        now = self._now()
        return now - max(0.0, self._wall_clock(now) - at)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
