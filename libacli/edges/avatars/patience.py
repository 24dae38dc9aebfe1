"""How long to wait before the next conversation, by how those before went."""

from __future__ import annotations

from libacli.errors import AvatarError

_LONGEST_PAUSE_S = 60.0
"""Who mends the account need not wait longer for the avatar to come back."""

_UNANSWERED_PAUSE_S = 720.0
"""When several requests in a row got no answer: each may have begun what costs money."""


class Patience:
    """Told of each conversation, or refusal, it says how many seconds to wait; None: no more of them.

    What costs nothing is tried again for ever, a little later each time.
    """

    ENOUGH = 3
    """So many in a row that were paid for and did nothing."""

    first_pause_s = 2.0
    """It doubles after each failure; refused requests cost nothing, so it is out of politeness alone."""

    def __init__(self) -> None:
        self._pause_s = self.first_pause_s
        self._in_vain = self._unanswered = 0

    def served(self) -> float:
        """An avatar did its part."""
        self._pause_s = self.first_pause_s
        self._in_vain = self._unanswered = 0
        return self.first_pause_s

    def in_vain(self) -> float | None:
        """One was begun, and nothing was heard of it."""
        self._in_vain += 1
        return None if self._in_vain >= self.ENOUGH else self._next()

    def refused(self, error: AvatarError) -> float | None:
        """None was begun, or that is not known."""
        if error.is_permanent:
            return None
        if error.is_unsure and error.status is None:
            self._unanswered += 1
            if self._unanswered >= self.ENOUGH:
                return _UNANSWERED_PAUSE_S
        return max(self._next(), error.retry_in_s or 0.0)

    def failed(self) -> float:
        """Something here has failed."""
        return self._next()

    def _next(self) -> float:
        pause_s = self._pause_s
        self._pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        return pause_s
