"""Speech that nobody sent: pals that were made on a vendor's pages greet, and answer, by themselves."""

from __future__ import annotations

_AUDIBLE_S = 0.3
"""So much is speech, and no noise of a track that begins."""

_AFTER_S = 5.0
"""After a line its sound may still be on its way, and reports of its end come early."""

_QUIET_S = 0.6
"""Between two of its sentences it is quieter than that for a shorter time."""


class UnaskedSpeech:
    """Told of all that is heard from one avatar, and of what was sent to it. Times are of one clock."""

    def __init__(self) -> None:
        self._sent_at: float | None = None
        self._audible_s = 0.0
        self._heard_at: float | None = None

    def sent(self, now: float) -> None:
        """A line is on its way to the avatar, or was until now."""
        self._sent_at, self._audible_s = now, 0.0

    def heard(self, seconds: float, now: float) -> bool:
        """Audible sound came, so long a piece. Whether from this moment on it is known for unasked."""
        if self._sent_at is not None and now < self._sent_at + _AFTER_S:
            return False
        was_known = self.is_known
        self._audible_s, self._heard_at = self._audible_s + seconds, now
        return self.is_known and not was_known

    @property
    def is_known(self) -> bool:
        """Whether the avatar speaks, or has spoken since the last line, what nobody sent."""
        return self._audible_s >= _AUDIBLE_S

    def is_speaking(self, now: float) -> bool:
        """Whether it does so now."""
        return self.is_known and self._heard_at is not None and now < self._heard_at + _QUIET_S
