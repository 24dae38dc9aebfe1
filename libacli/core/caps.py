"""How much may be said, and how fast: characters an hour, requests of each sender."""

from __future__ import annotations

import math

from libacli.core.usage import Usage
from libacli.errors import RefusedError

_HOUR_S = 3600.0
_SLOTS = 60
_SLOT_S = _HOUR_S / _SLOTS
_SENDERS_KEPT = 256
_ROUNDING_S = 1e-6


class Window:
    """Amounts of the last hour, whole minutes of which are forgotten together: at most `limit` in any hour.

    Times are seconds on a clock that never goes back; an amount may be added a little late.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._slots: dict[int, float] = {}

    def used(self, now: float) -> float:
        self._slots = {
            slot: amount
            for slot, amount in sorted(self._slots.items())
            if amount > 0 and _forgotten_at(slot) > now
        }
        return sum(self._slots.values())

    def fits_in_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be added: 0, it may be now; infinite, it is more than the limit."""
        excess = self.used(now) + amount - self.limit
        if excess <= 0:
            return 0.0
        for slot, used in self._slots.items():
            excess -= used
            if excess <= 0:
                return _forgotten_at(slot) - now
        return math.inf

    def resets_in_s(self, now: float) -> float:
        return _forgotten_at(max(self._slots)) - now if self.used(now) else 0.0

    def add(self, amount: float, now: float) -> None:
        self._slots[int(now // _SLOT_S)] = self._slots.get(int(now // _SLOT_S), 0.0) + amount

    def take_back(self, amount: float, added_at: float) -> None:
        """As if it had never been added; passed over when that is forgotten."""
        if (slot := int(added_at // _SLOT_S)) in self._slots:
            self._slots[slot] -= amount


class Rates:
    """A token bucket for each sender: `burst` at once, then so many a minute."""

    def __init__(self, per_minute: float, burst: int) -> None:
        self.burst = burst
        self._interval_s = 60 / per_minute
        self._full_at: dict[str, float] = {}
        """When a sender's bucket is full again; it is, where there is none."""

    def used(self, sender: str, now: float) -> float:
        return self.resets_in_s(sender, now) / self._interval_s

    def fits_in_s(self, sender: str, now: float) -> float:
        """Seconds until the sender has a token."""
        wait_s = self.resets_in_s(sender, now) - (self.burst - 1) * self._interval_s
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def resets_in_s(self, sender: str, now: float) -> float:
        return max(0.0, self._full_at.get(sender, now) - now)

    def take(self, sender: str, now: float) -> None:
        if len(self._full_at) >= _SENDERS_KEPT:
            self._full_at = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        self._full_at[sender] = now + self.resets_in_s(sender, now) + self._interval_s


class SayCaps:
    """What one agent speaks at most. A rate or a number of characters of 0: no cap.

    `check` before something is queued, `charge` once it is, `give_back` when it came to nothing.
    """

    def __init__(self, *, rate_per_minute: float, burst: int, max_chars_per_hour: int) -> None:
        self._rates = Rates(rate_per_minute, burst) if rate_per_minute else None
        self._chars = Window(max_chars_per_hour) if max_chars_per_hour else None

    def check(self, sender: str, chars: int, now: float) -> None:
        """Raises RefusedError: `rate_limited`, the sender is too fast, or `spend_cap`, it is too much."""
        if self._rates and (wait_s := self._rates.fits_in_s(sender, now)):
            raise _reached("rate_limited", "requests come faster than is allowed", wait_s)
        if self._chars and (wait_s := self._chars.fits_in_s(chars, now)):
            used, limit = self._chars.used(now), self._chars.limit
            message = f"{used:.0f} of {limit:.0f} characters of this hour are used, this has {chars}"
            raise _reached("spend_cap", message, wait_s)

    def charge(self, sender: str, chars: int, now: float) -> None:
        if self._rates:
            self._rates.take(sender, now)
        if self._chars:
            self._chars.add(chars, now)

    def give_back(self, chars: int, charged_at: float) -> None:
        """The characters of what was charged then and never reached the voice."""
        if self._chars:
            self._chars.take_back(chars, charged_at)

    def usage(self, sender: str, now: float) -> list[Usage]:
        """All caps; that of requests as it is for this sender."""
        found = []
        if rates := self._rates:
            used, resets_in_s = math.ceil(rates.used(sender, now)), rates.resets_in_s(sender, now)
            found.append(Usage("your requests", used, rates.burst, "requests", round(resets_in_s, 1)))
        if chars := self._chars:
            used, resets_in_s = round(chars.used(now)), chars.resets_in_s(now)
            found.append(Usage("speech", used, chars.limit, "characters", round(resets_in_s, 1)))
        return found


def _reached(reason: str, message: str, fits_in_s: float) -> RefusedError:
    """More than is allowed for now; infinite: more than is ever allowed."""
    if math.isinf(fits_in_s):
        return RefusedError(reason, f"{message}; it is too much at once")
    again = f"try again in {_words(fits_in_s)}"
    return RefusedError(reason, f"{message}; {again}", retry_in_s=math.ceil(fits_in_s))


def _forgotten_at(slot: int) -> float:
    """An hour after the last moment of its minute."""
    return (slot + 1) * _SLOT_S + _HOUR_S


def _words(seconds: float) -> str:
    return f"{math.ceil(seconds)} s" if seconds < 120 else f"{math.ceil(seconds / 60)} min"
