"""How long an account's conversations last: free plans end them after minutes, and announce nothing."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from libacli.config import Settings
from libacli.edges.avatars.choose import avatar_base_url
from libacli.errors import FileError
from libacli.private_files import locked, private_folder, write_private

logger = logging.getLogger("liba.avatar")

_SHORTEST_S = 15.0
"""An avatar that goes sooner has met no cap, but some trouble."""

_SAME_S, _SAME_PART = 5.0, 0.1
"""Two that lasted about as long differ by less than one of these: seconds, or a part of the longer one."""

_KEPT = timedelta(days=1)
"""Then it is tried without: the account may have another plan."""

_LOCK_TIMEOUT_S = 2.0
_CAP = "max_call_duration"
_NO_CAP = ("participant_", "end_conversation", "exception", "error", "could_not_join")
"""Of the reasons that Tavus has: https://docs.tavus.io/sections/webhooks-and-callbacks"""


class LearnedCap:
    """What all agents of this user know of it, in a 0600 file; `account` names whose it is. For a thread.

    `clock` tells the time.
    """

    def __init__(
        self, file: Path, account: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._file = file
        self._account = account
        self._clock = clock
        self._lives: list[float] = []

    def seconds(self) -> float | None:
        """How long a conversation lasts; None when that was not learned, or not lately."""
        return self._known().get(self._account, {}).get("seconds")

    def left(self, lived_s: float, reason: str) -> None:
        """An avatar left by itself that was wanted, so many seconds after it was asked for.

        `reason` is what its service has for that, if it told. Raises FileError when what was learned of it
        cannot be written down.
        """
        alike = [one for one in self._lives if abs(one - lived_s) <= max(_SAME_S, _SAME_PART * one)]
        self._lives.append(lived_s)
        is_other = any(word in reason for word in _NO_CAP)
        if (_CAP in reason or (alike and not is_other)) and lived_s >= _SHORTEST_S:
            self._learn(min([lived_s, *alike]))

    def _learn(self, seconds: float) -> None:
        logger.warning("conversations end after %.0f s here; each is renewed before", seconds)
        try:
            private_folder(self._file.parent)
            with locked(self._file.with_suffix(".lock"), timeout_s=_LOCK_TIMEOUT_S):
                at = self._clock().isoformat()
                known = self._known() | {self._account: {"seconds": round(seconds, 1), "at": at}}
                write_private(self._file, json.dumps(known))
        except OSError as error:
            raise FileError(f"cannot write {self._file}: {error.strerror}", hint="free the disk") from error

    def _known(self) -> dict[str, dict[str, Any]]:
        """By account, what is not too old."""
        try:
            noted = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(account): one for account, one in noted.items() if self._is_valid(one)}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return {}

    def _is_valid(self, one: Any) -> bool:
        age = self._clock() - datetime.fromisoformat(one["at"]).astimezone(UTC)
        return age < _KEPT and float(one["seconds"]) >= _SHORTEST_S


def account_of(*parts: str) -> str:
    """Names an account, and tells nobody its key."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def learned_cap(settings: Settings) -> LearnedCap:
    """Of the account, and the avatar, that the settings name."""
    key = settings.tavus_api_key.get_secret_value() if settings.tavus_api_key else ""
    account = account_of(avatar_base_url(settings), key, settings.tavus_face_id, settings.tavus_pal_id)
    return LearnedCap(user_state_path("liba") / "avatar-caps.json", account)
