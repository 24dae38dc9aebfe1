"""How much avatar time all agents of this machine have used today, and how much they may."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from platformdirs import user_state_path

from libacli.config import Settings, is_loopback
from libacli.core.usage import Usage
from libacli.edges.avatars.choose import avatar_base_url
from libacli.errors import LibaError
from libacli.private_files import locked, private_file, private_folder

logger = logging.getLogger("liba.avatar")

_LOCK_TIMEOUT_S = 2.0
"""Others hold the lock for the milliseconds that it takes to write a line."""


class AvatarMinutes:
    """A 0600 file with the seconds that were used on one day, in UTC; several processes may use it at once.

    `max_minutes` a day may be used; 0: as many as one likes, and nothing is written. `clock` tells the time.
    """

    def __init__(
        self, file: Path, *, max_minutes: float, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._file = file
        self._limit_s = max_minutes * 60
        self._clock = clock
        self._day: date | None = None
        self._seconds = 0.0
        self._counted_s = 0.0

    @property
    def left_s(self) -> float:
        """Seconds that may still be used today, as far as this process knows; infinite without a cap."""
        return max(0.0, self._limit_s - self._used_s()) if self._limit_s else math.inf

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
                "no avatar until midnight UTC: %g minutes a day are allowed (avatar.max_minutes_per_day)",
                self._limit_s / 60,
            )
        while self.are_used_up:  # noqa: ASYNC110 - a machine that slept knows the time, not that it slept
            await asyncio.sleep(min(60.0, self.resets_in_s))

    async def count(self, total_s: float) -> None:
        """Adds what is new in `total_s`, the seconds that this process has used since it began.

        Raises LibaError when that cannot be written: what cannot be counted must not be spent.
        """
        if self._limit_s:
            await asyncio.to_thread(self._add, total_s - self._counted_s)
            self._counted_s = total_s

    def usage(self) -> list[Usage]:
        """The cap, if there is one."""
        if not self._limit_s:
            return []
        used, limit = round(self._used_s() / 60, 1), self._limit_s / 60
        return [Usage("avatar", used, limit, "minutes", round(self.resets_in_s))]

    def _add(self, seconds: float) -> None:
        today = self._clock().date()
        try:
            private_folder(self._file.parent)
            with locked(self._file.with_suffix(".lock"), timeout_s=_LOCK_TIMEOUT_S):
                day, used_s = self._read()
                self._seconds = (used_s if day == today else 0.0) + seconds
                self._day = today
                self._write()
        except OSError as error:
            raise LibaError(
                f"cannot count avatar minutes in {self._file}: {error.strerror}",
                hint="free the disk, or set avatar.max_minutes_per_day = 0",
            ) from error

    def _used_s(self) -> float:
        return self._seconds if self._day == self._clock().date() else 0.0

    def _read(self) -> tuple[date | None, float]:
        try:
            noted = json.loads(self._file.read_text(encoding="utf-8"))
            return date.fromisoformat(noted["day"]), float(noted["seconds"])
        except FileNotFoundError:
            return None, 0.0
        except (ValueError, TypeError, KeyError):
            logger.warning("%s cannot be read; avatar minutes are counted from zero", self._file)
            return None, 0.0

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        with os.fdopen(private_file(part), "w") as file:
            json.dump({"day": str(self._day), "seconds": round(self._seconds, 3)}, file)
        part.replace(self._file)


def avatar_minutes(settings: Settings) -> AvatarMinutes:
    """The count of this machine's avatar time; a service that runs on it costs nothing."""
    costs = settings.has_avatar and not is_loopback(avatar_base_url(settings))
    return AvatarMinutes(
        user_state_path("liba") / "avatar-minutes.json",
        max_minutes=settings.avatar_max_minutes_per_day if costs else 0,
    )
