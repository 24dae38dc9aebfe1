"""How much may be said, and how fast: characters an hour, requests of each account."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from libacli.core.hour import OWNER, Account, Hour
from libacli.core.usage import Usage
from libacli.errors import RefusedError

_SENDERS_KEPT = 256
_ROUNDING_S = 1e-6


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
    """What is spoken at most. A rate or a number of characters of 0: no cap.

    `check` before something is queued and `accept` once it is: then all of it is promised. `ask` each time
    that the voice is asked for some of it, which is what it costs, and `end` when it is over: what the voice
    was not asked for by then is free again. `hour` is on a clock of its own, whose time `hour_clock` tells of
    a moment of the caller's.
    """

    def __init__(
        self,
        *,
        rate_per_minute: float,
        burst: int,
        max_chars_per_hour: int,
        hour_clock: Callable[[float], float] = lambda at: at,
    ) -> None:
        self.hour = Hour(max_chars_per_hour) if max_chars_per_hour else None
        self._rates = Rates(rate_per_minute, burst) if rate_per_minute else None
        self._hour_clock = hour_clock
        self._promises: dict[str, _Promise] = {}
        """Of what was accepted and is not over, by id."""

    def check(self, account: Account, chars: int, now: float) -> None:
        """Raises RefusedError: `rate_limited`, the account is too fast, or `spend_cap`, it is too much."""
        if self._rates and (wait_s := self._rates.fits_in_s(account.name, now)):
            raise _reached("rate_limited", "requests come faster than is allowed", wait_s)
        at = self._hour_clock(now)
        for share in self.hour.shares(account) if self.hour else ():
            if wait_s := share.fits_in_s(chars, at):
                used = f"{share.used(at):.0f} of {share.window.limit:.0f} characters {share.words} are used"
                raise _reached("spend_cap", f"{used}, this has {chars}", wait_s)

    def accept(self, account: Account, utterance_id: str, chars: int, now: float) -> None:
        """An utterance of so many characters was queued."""
        if self._rates:
            self._rates.take(account.name, now)
        if self.hour:
            promise = self._promises[utterance_id] = _Promise(self.hour.name_of(account), chars)
            self.hour.promise(promise.name, chars)

    def ask(self, utterance_id: str, chars: int, now: float) -> None:
        """The voice is asked for so many characters of it."""
        if self.hour is None:
            return
        promise = self._promises.get(utterance_id) or _Promise(OWNER, 0)  # a speaker's of somebody's own
        kept = min(chars, promise.chars)
        promise.chars -= kept
        self.hour.promise(promise.name, -kept)
        self.hour.spend(promise.name, chars, self._hour_clock(now))

    def end(self, utterance_id: str) -> None:
        """It is over, in whatever way."""
        promise = self._promises.pop(utterance_id, None)
        if self.hour and promise:
            self.hour.promise(promise.name, -promise.chars)

    def usage(self, account: Account, now: float) -> list[Usage]:
        """All caps; those of one account as they are for this one."""
        found = []
        if rates := self._rates:
            used, resets_in_s = math.ceil(rates.used(account.name, now)), rates.resets_in_s(account.name, now)
            found.append(Usage("your requests", used, rates.burst, "requests", round(resets_in_s, 1)))
        if hour := self.hour:
            at = self._hour_clock(now)
            resets_in_s = round(hour.resets_in_s(at), 1)
            if not account.is_owner:
                own = hour.share_of(account)
                used, limit = round(own.used(at)), math.floor(own.window.limit)
                found.append(Usage("your speech", used, limit, "characters", resets_in_s))
            found.append(Usage("speech", round(hour.used(at)), hour.limit, "characters", resets_in_s))
        return found


@dataclass
class _Promise:
    """What an utterance may still cost."""

    name: str
    """Of who pays, in the hour."""

    chars: int


def _reached(reason: str, message: str, fits_in_s: float) -> RefusedError:
    """More than is allowed for now; infinite: more than is ever allowed."""
    if math.isinf(fits_in_s):
        return RefusedError(reason, f"{message}; it is too much at once")
    again = f"try again in {_words(fits_in_s)}"
    return RefusedError(reason, f"{message}; {again}", retry_in_s=math.ceil(fits_in_s))


def _words(seconds: float) -> str:
    return f"{math.ceil(seconds)} s" if seconds < 120 else f"{math.ceil(seconds / 60)} min"
