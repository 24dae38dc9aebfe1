"""Whether an avatar is wanted in a room: each second of it costs, and a watcher alone is to cost little."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from livekit import rtc

from libacli.core.event import Event, Rejection
from libacli.edges.avatars.policy import AvatarPolicy
from libacli.edges.avatars.viewers import is_watched


class Demand:
    """It is wanted while somebody watches, and something is said now and then. An outlet of the announcer.

    An avatar that nothing was said through for `policy.silent_timeout_s` is not wanted before the next line;
    nor is the first one where `waits_for_line`. `on_change` is called when a line makes it wanted.
    """

    def __init__(
        self, room: rtc.Room, policy: AvatarPolicy, *, waits_for_line: bool, on_change: Callable[[], None]
    ) -> None:
        self._room = room
        self._silent_timeout_s = policy.silent_timeout_s
        self._waits_for_line = waits_for_line
        self._on_change = on_change
        self._spoken_at = 0.0
        self.has_spoken = False
        """Whether anything was said since `begin`."""

        self.has_served = False
        """Whether an avatar has said something to its end since the last `call`."""

    @property
    def is_watched(self) -> bool:
        return is_watched(self._room)

    @property
    def waits_for_line(self) -> bool:
        """Whether it is not wanted before something is said."""
        return self._waits_for_line

    def is_there(self) -> bool:
        """Whether an avatar is to be asked for."""
        return self.is_watched and not self._waits_for_line

    @property
    def goes_on(self) -> bool:
        """Whether another avatar is to take the place of one that is about to end."""
        return self.is_there() and self.silent_in_s > 0

    @property
    def silent_in_s(self) -> float:
        """Seconds until it was silent for too long, 0 when it was; infinite when it may be silent."""
        if not self._silent_timeout_s:
            return math.inf
        return max(0.0, self._spoken_at + self._silent_timeout_s - _now())

    def begin(self) -> None:
        """Avatars are there from now on: the silence counts from here."""
        self._spoken_at, self.has_spoken = _now(), False

    def call(self) -> None:
        """The next avatar is asked for."""
        self.has_served = False

    def rest(self) -> None:
        """From now on it waits for a line."""
        self._waits_for_line = True

    def take_event(self, event: Event | Rejection) -> None:
        """See `Outlet`."""
        if isinstance(event, Event):
            self._spoken_at, self.has_spoken = _now(), True
            is_heard = event.report.state in ("done", "unconfirmed")  # the latter: nobody reported its end
            if is_heard and event.report.route == "avatar":
                self.has_served = True
            if self._waits_for_line:
                self._waits_for_line = False
                self._on_change()


def _now() -> float:
    return asyncio.get_running_loop().time()
