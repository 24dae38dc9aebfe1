"""How much avatar time all agents have used today, of this machine or of all, and how much they may."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Protocol

from platformdirs import user_state_path

from libacli.config import Settings
from libacli.core.usage import Usage
from libacli.edges.avatars.policy import is_local_avatar
from libacli.errors import FileError, StoreError
from libacli.private_files import locked, private_folder, write_private

logger = logging.getLogger("liba.avatar")

_LOCK_TIMEOUT_S = 2.0
"""Others hold the lock for the milliseconds that it takes to write a line."""

_LOOK_EVERY_S = 5.0
"""How soon it is noticed that a new day has begun, or that the clock was put right."""

_SILENCE_KEPT = timedelta(hours=1)
"""So long a room whose avatar said nothing waits for a line: who comes and goes costs one avatar, not ten."""


@dataclass
class _Used:
    """What stands in the file: seconds of `day`, of all rooms and of each, and where nothing was said."""

    day: date
    seconds: float = 0.0
    rooms: dict[str, float] = field(default_factory=dict)
    silent: dict[str, datetime] = field(default_factory=dict)
    """By room: when its last avatar was ended through which nothing had been said."""

    def encode(self) -> dict[str, Any]:
        return {
            "day": str(self.day),
            "seconds": round(self.seconds, 3),
            "rooms": {room: round(seconds, 3) for room, seconds in self.rooms.items()},
            "silent": {room: at.isoformat() for room, at in self.silent.items()},
        }


class MinutesStore(Protocol):
    """Where machines meet that use one account. Raises StoreError, within a bound."""

    async def exchange(
        self, day: date, machine: str, room: str, seconds: float, room_seconds: float
    ) -> tuple[float, float]:
        """Tells what this machine has used on that day, in all rooms and in this one.

        Returns the seconds of all others, in all rooms and in this one. What a machine has used never
        shrinks: told again, or late, or after all was lost, the most counts, once.
        """


@dataclass(frozen=True)
class _Elsewhere:
    """What other machines have used of a day, as far as this process knows."""

    day: date = date.min
    seconds: float = 0.0
    room_seconds: float = 0.0


class AvatarMinutes:
    """A 0600 file with the seconds that were used on one day, in UTC; several processes may use it at once.

    `max_minutes` a day may be used, by this `room` `max_minutes_per_room` of them; 0: as many as one likes.
    Without `max_minutes` nothing is written. `clock` tells the time. Through `store` this `machine` learns
    what others have used; while it is gone, that counts on.
    """

    def __init__(
        self,
        file: Path,
        *,
        max_minutes: float,
        max_minutes_per_room: float = 0,
        room: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        store: MinutesStore | None = None,
        machine: str = "",
    ) -> None:
        self._file = file
        self._store = store
        self._machine = machine
        self._elsewhere = _Elsewhere()
        self._room = room
        self._limit_s = max_minutes * 60
        self._room_limit_s = max_minutes_per_room * 60 or math.inf
        self._clock = clock
        self._used = _Used(date.min)
        self._counted_s = 0.0

    @property
    def left_s(self) -> float:
        """Seconds that may still be used today, as far as this process knows; infinite without a cap."""
        if not self._limit_s:
            return math.inf
        used, elsewhere = self._used_today(), self._elsewhere_today()
        used_s = used.seconds + elsewhere.seconds
        room_s = used.rooms.get(self._room, 0.0) + elsewhere.room_seconds
        return max(0.0, min(self._limit_s - used_s, self._room_limit_s - room_s))

    @property
    def are_used_up(self) -> bool:
        return self.left_s == 0

    @property
    def resets_in_s(self) -> float:
        """Seconds until the next day begins."""
        now = self._clock()
        return (datetime.combine(now.date() + timedelta(days=1), time(), UTC) - now).total_seconds()

    async def until_some_are_left(self) -> None:
        """Waits for the next day when the minutes of this one are used up."""
        if self.are_used_up:
            logger.error(
                "no avatar until midnight UTC: %g minutes a day are allowed (avatar.max_minutes_per_day), "
                "%g of them in one room (avatar.max_minutes_per_room)",
                self._limit_s / 60,
                min(self._limit_s, self._room_limit_s) / 60,
            )
        while self.are_used_up:  # noqa: ASYNC110 - a machine that slept knows the time, not that it slept
            await asyncio.sleep(min(_LOOK_EVERY_S, self.resets_in_s))

    async def count(self, total_s: float, *, was_silent: bool | None = None) -> None:
        """Adds what is new in `total_s`, the seconds that this process has used since it began.

        `was_silent` tells of an avatar that has ended whether nothing was said through it. Raises FileError
        when that cannot be written: what cannot be counted must not be spent.
        """
        if self._limit_s:
            await asyncio.to_thread(self._add, total_s - self._counted_s, was_silent)
            self._counted_s = total_s
            await self._exchange()

    def was_silent(self) -> bool:
        """Whether nothing was said through this room's last avatar, not long ago; as of the last `count`."""
        since = self._used.silent.get(self._room)
        return since is not None and self._clock() - since < _SILENCE_KEPT

    def usage(self) -> list[Usage]:
        """The cap, if there is one."""
        if not self._limit_s:
            return []
        used_s = self._used_today().seconds + self._elsewhere_today().seconds
        used, limit = round(used_s / 60, 1), self._limit_s / 60
        return [Usage("avatar", used, limit, "minutes", round(self.resets_in_s))]

    async def _exchange(self) -> None:
        if self._store is None:
            return
        used = self._used_today()
        room_s = used.rooms.get(self._room, 0.0)
        with suppress(StoreError):  # whoever watches over the store says so, once
            others = await self._store.exchange(used.day, self._machine, self._room, used.seconds, room_s)
            known = self._elsewhere_today()  # a store that has lost everything is told it again
            seconds, room_seconds = max(known.seconds, others[0]), max(known.room_seconds, others[1])
            self._elsewhere = _Elsewhere(used.day, seconds, room_seconds)

    def _elsewhere_today(self) -> _Elsewhere:
        return self._elsewhere if self._elsewhere.day == self._clock().date() else _Elsewhere()

    def _add(self, seconds: float, was_silent: bool | None) -> None:
        try:
            private_folder(self._file.parent)
            with locked(self._file.with_suffix(".lock"), timeout_s=_LOCK_TIMEOUT_S):
                self._used = self._read()
                self._used = self._used_today()
                self._used.seconds += seconds
                self._used.rooms[self._room] = self._used.rooms.get(self._room, 0.0) + seconds
                if was_silent is not None:
                    self._used.silent.pop(self._room, None)
                if was_silent:
                    self._used.silent[self._room] = self._clock()
                self._write()
        except OSError as error:
            raise FileError(
                f"cannot count avatar minutes in {self._file}: {error.strerror}",
                hint="free the disk, or set avatar.max_minutes_per_day = 0",
            ) from error

    def _used_today(self) -> _Used:
        """What was used today, and the silences that still count."""
        now = self._clock()
        silent = {room: at for room, at in self._used.silent.items() if now - at < _SILENCE_KEPT}
        used = self._used if self._used.day == now.date() else _Used(now.date())
        return replace(used, silent=silent)

    def _read(self) -> _Used:
        try:
            noted = json.loads(self._file.read_text(encoding="utf-8"))
            return _Used(
                date.fromisoformat(noted["day"]),
                float(noted["seconds"]),
                {str(room): float(seconds) for room, seconds in noted.get("rooms", {}).items()},
                {
                    str(room): datetime.fromisoformat(at).astimezone(UTC)
                    for room, at in noted.get("silent", {}).items()
                },
            )
        except FileNotFoundError:
            return _Used(date.min)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            logger.warning("%s cannot be read; avatar minutes are counted from zero", self._file)
            return _Used(date.min)

    def _write(self) -> None:
        write_private(self._file, json.dumps(self._used.encode()))


def avatar_minutes(
    settings: Settings, *, room: str, store: MinutesStore | None = None, machine: str = ""
) -> AvatarMinutes:
    """The count of avatar time, for the avatar of `room`; our own avatar costs nothing."""
    costs = settings.has_avatar and not is_local_avatar(settings)
    return AvatarMinutes(
        user_state_path("liba") / "avatar-minutes.json",
        max_minutes=settings.avatar_max_minutes_per_day if costs else 0,
        max_minutes_per_room=settings.avatar_max_minutes_per_room,
        room=room,
        store=store,
        machine=machine,
    )
