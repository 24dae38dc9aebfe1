"""What speech has cost: what was asked of the voices, and avatar time, by the prices that are set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any, Literal

from libacli.core.avatar_time import LOCAL, AvatarTime
from libacli.core.summary import KEYS
from libacli.core.utterance_record import UtteranceRecord

_EXACT = Context(prec=60)
"""A price has 16 digits at most, a count far less than 16: products and sums of them lose nothing."""

_PARTS = 18_000_000
"""Sums are in such parts of the currency's unit, which each of `_UNITS` divides: a minute's price divided by
its milliseconds would be endless."""

_MOST = Decimal(1_000_000)
_PRICE = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,9})?)(?:\s+per\s+(.+))?")
Unit = Literal["chars", "ms"]
_UNITS: Mapping[str, tuple[Unit, int]] = {
    **dict.fromkeys(("1m chars", "million chars", "1000000 chars"), ("chars", 1_000_000)),
    **dict.fromkeys(("1k chars", "1000 chars"), ("chars", 1000)),
    "minute": ("ms", 60_000),
    "hour": ("ms", 3_600_000),
}
_FREE_PROVIDERS = ("embedded",)
"""They run on the machine itself."""

AVATAR = "avatar time"
"""Stands in the place of a key that avatar time has not: nobody asked for it, and no voice spoke in it."""


@dataclass(frozen=True)
class Price:
    """So much for each character, or for each millisecond of sound."""

    each: Decimal
    """In parts of the currency's unit, see `digits`."""

    of: Unit

    @classmethod
    def read(cls, text: str) -> Price:
        """Of `15 per 1M chars`, `0.015 per 1000 chars`, `0.9 per minute`, or `0`. Raises ValueError."""
        found = _PRICE.fullmatch(text.strip().lower())
        amount, unit = Decimal(found[1] if found else 0), " ".join((found[2] or "").split()) if found else ""
        if found and not unit and not amount:
            return _FREE
        if unit not in _UNITS or amount > _MOST:
            raise ValueError(
                f"{text!r} is not a price; write it like '15 per 1M chars', '0.015 per 1000 chars', "
                "'0.9 per minute', or '0'"
            )
        of, per = _UNITS[unit]
        return cls(amount * (_PARTS // per), of)

    def times(self, count: int) -> Decimal:
        """Of so many, in parts."""
        return _EXACT.multiply(self.each, Decimal(count))


_FREE = Price(Decimal(0), "chars")


@dataclass(frozen=True)
class Prices:
    """What is to be paid, in `currency`."""

    currency: str = "USD"
    voices: Mapping[str, Price] = field(default_factory=dict)
    """By `model/voice`, model, or provider: what is said first goes before."""

    avatar: Price | None = None
    """Of a minute, or hour, of avatar time; None: nobody has said."""

    def of_voice(self, record: UtteranceRecord) -> Price | None:
        """That of who spoke it, or was asked to; None: nobody has said what it costs."""
        for name in (f"{record.model}/{record.voice}", record.model, record.provider):
            if price := self.voices.get(name):
                return price
        return _FREE if record.provider in _FREE_PROVIDERS else None


@dataclass
class Cost:
    """What those with the same `key` have cost. Sums of money are exact, and in parts: see `digits`."""

    key: tuple[str, ...] = ()
    utterances: int = 0
    cached: int = 0
    """Utterances that were kept, and cost nothing."""

    chars: int = 0
    """Characters that voices were asked for."""

    speech_ms: int = 0
    """Sound that came of them."""

    avatar_ms: int = 0
    voices: Decimal = Decimal(0)
    avatar: Decimal = Decimal(0)
    without_price: set[str] = field(default_factory=set)
    """Names of what was used, and has no price: models, or providers; `AVATAR` for the avatar."""

    @property
    def total(self) -> Decimal:
        return _EXACT.add(self.voices, self.avatar)

    def add(self, record: UtteranceRecord, prices: Prices) -> None:
        asked_ms = round(record.asked_ms)
        self.utterances += 1
        self.cached += record.cached
        self.chars += record.asked_chars
        self.speech_ms += asked_ms
        if not (record.asked_chars or asked_ms):
            return
        if price := prices.of_voice(record):
            count = record.asked_chars if price.of == "chars" else asked_ms
            self.voices = _EXACT.add(self.voices, price.times(count))
        else:
            self.without_price.add(record.model or record.provider or "unknown voice")

    def add_avatar(self, vendor: str, milliseconds: int, prices: Prices) -> None:
        self.avatar_ms += milliseconds
        if vendor == LOCAL:
            return
        if prices.avatar:
            self.avatar = _EXACT.add(self.avatar, prices.avatar.times(milliseconds))
        else:
            self.without_price.add(AVATAR)


@dataclass(frozen=True)
class Bill:
    """All together, and by group."""

    whole: Cost
    groups: Sequence[Cost]


def bill(
    records: Iterable[UtteranceRecord],
    avatar_times: Iterable[tuple[AvatarTime, float]],
    prices: Prices,
    by: Sequence[str] = (),
) -> Bill:
    """What these have cost; in groups with the same values of `by` (names in `summary.KEYS`), sorted by them.

    `avatar_times` come with how many of their seconds count. Each belongs to its room and day alone.
    """
    whole = Cost()
    groups: dict[tuple[str, ...], Cost] = {}

    def each(key: tuple[str, ...], add: Callable[[Cost], None]) -> None:
        add(whole)
        if by:
            add(groups.setdefault(key, Cost(key)))

    for record in records:
        each(tuple(KEYS[name](record) for name in by), lambda cost, one=record: cost.add(one, prices))  # type: ignore[misc]
    for time, seconds in avatar_times:
        milliseconds = round(seconds * 1000)
        if milliseconds:
            each(
                tuple(_avatar_key(name, time) for name in by),
                lambda cost, one=time, ms=milliseconds: cost.add_avatar(one.vendor, ms, prices),  # type: ignore[misc]
            )
    return Bill(whole, [groups[key] for key in sorted(groups)])


def _avatar_key(name: str, time: AvatarTime) -> str:
    known = {"room": time.room, "day": datetime.fromtimestamp(time.began, UTC).date().isoformat()}
    return known.get(name, AVATAR)


def encode(cost: Cost, prices: Prices) -> dict[str, Any]:
    """For JSON and CSV; money as decimal digits, to nine of them: a number of JSON would not hold it."""
    return {
        "utterances": cost.utterances,
        "cached": cost.cached,
        "asked_chars": cost.chars,
        "speech_min": round(cost.speech_ms / 60_000, 3),
        "avatar_min": round(cost.avatar_ms / 60_000, 3),
        "currency": prices.currency,
        "voices": digits(cost.voices, 9),
        "avatar": digits(cost.avatar, 9),
        "total": digits(cost.total, 9),
        "without_price": sorted(cost.without_price),
    }


def digits(parts: Decimal, places: int) -> str:
    """So much money in units of its currency, rounded to be shown."""
    return f"{_EXACT.quantize(_EXACT.divide(parts, Decimal(_PARTS)), Decimal(1).scaleb(-places)):f}"
