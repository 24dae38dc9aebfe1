"""How an avatar service treats its account: what plans differ in, and documents leave open."""

from __future__ import annotations

from dataclasses import dataclass

MAX_CALL_S = 3600


@dataclass(frozen=True)
class Manners:
    """As a service on one's own machine has them; tests give those of other plans."""

    max_conversations: int = 10
    """That run at a time; one more is refused. Tavus's free plan has one."""

    longest_call_s: float = MAX_CALL_S
    """A conversation ends after so many seconds at the latest, whatever was asked for. Nobody is told before:
    public projects report three minutes on Tavus's free plan."""

    takes_any_pal: bool = True
    """Whether a pal that was not made here, as one of the user's own account, is taken for one that fits.
    If not, it is refused, and without a pal the account's own one is taken, which joins no LiveKit room."""

    page_limit: int = 100
    """The most entries of one page of a list, however many were asked for."""

    wraps_pal: bool = True
    """Whether one pal is told as Tavus documents it, in a list of one; if not, by itself."""

    requests_per_minute: int | None = None
    """More are answered 429; None: as many as may come."""
