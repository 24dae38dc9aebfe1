"""What `liba metrics summary --cost` prints: a line for each group, and one for all."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.table import Table

from libacli.cli.output import output
from libacli.cli.screens.cells import cell
from libacli.core.cost import AVATAR, Bill, Cost, digits

_PLACES = 4
_NUMBERS = ("utterances", "characters", "speech", "avatar time", "voices", "avatar", "total")


def show_bill(bill: Bill, currency: str, by: Sequence[str]) -> None:
    """Prints the groups, whose keys are in the order of `by`, and all together if there are several."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in by:
        table.add_column(name, no_wrap=True)
    for name in _NUMBERS:
        is_money = name in ("voices", "avatar", "total")
        table.add_column(f"{name} {currency}" if is_money else name, justify="right", no_wrap=True)
    for one in [*bill.groups, bill.whole] if len(bill.groups) > 1 else bill.groups:
        names = list(one.key) or ["all", *[""] * (len(by) - 1)]
        table.add_row(*map(cell, (*names, *_numbers(one))))
    output.table(table)


def _numbers(one: Cost) -> list[str]:
    voices_known, avatar_known = not one.without_price - {AVATAR}, AVATAR not in one.without_price
    return [
        f"{one.utterances:,}",
        f"{one.chars:,}",
        f"{one.speech_ms / 60_000:,.1f} min",
        f"{one.avatar_ms / 60_000:,.1f} min",
        _money(one.voices, is_all=voices_known),
        _money(one.avatar, is_all=avatar_known),
        _money(one.total, is_all=voices_known and avatar_known),
    ]


def _money(amount: Decimal, *, is_all: bool) -> str:
    """Where a price is missing it is not all."""
    shown = digits(amount, _PLACES)
    if is_all:
        return shown
    return f"{shown} + no price" if amount else "no price"
