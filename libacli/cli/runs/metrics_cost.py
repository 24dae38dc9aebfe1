"""Runs `liba metrics summary --cost`."""

from __future__ import annotations

from collections.abc import Sequence

from libacli.cli.output import output
from libacli.cli.runs.metrics_summary import Selection, write_rows
from libacli.config import Settings
from libacli.core.cost import AVATAR, Bill, Cost, Price, Prices, bill, encode
from libacli.errors import ConfigError


def show_cost(
    settings: Settings, selection: Selection, *, by: Sequence[str], as_csv: bool, as_json: bool
) -> None:
    """Prints what it has cost. Raises ConfigError for a price that is none, or a store that is none."""
    prices = read_prices(settings)
    found = bill(selection.records(), selection.avatar_times(), prices, by)
    if as_json:
        groups = [dict(zip(by, one.key, strict=True)) | encode(one, prices) for one in found.groups]
        output.json(encode(found.whole, prices) | {"groups": groups})
    elif as_csv:
        _write_csv(found, prices, by)
    elif not found.groups:
        output.status("no records; agents of this machine write one for each utterance")
    else:
        from libacli.cli.screens.cost_table import show_bill

        show_bill(found, prices.currency, by)
    if found.whole.without_price:
        output.status(missing(found.whole))


def read_prices(settings: Settings) -> Prices:
    """Those of the settings. Raises ConfigError."""
    voices = {name: _price(f"prices.voices, {name}", text) for name, text in settings.prices_voices.items()}
    avatar = _price("prices.avatar", settings.prices_avatar) if settings.prices_avatar else None
    if avatar and avatar.of != "ms" and avatar.each:
        raise ConfigError("prices.avatar is not for characters", hint="write it like this: 0.50 per minute")
    return Prices(settings.prices_currency, voices, avatar)


def missing(cost: Cost) -> str:
    """Which settings would tell the prices that are not known."""
    names = sorted(cost.without_price - {AVATAR})
    wanted = ["prices.avatar (per minute)"] if AVATAR in cost.without_price else []
    if names:
        wanted.append(f"prices.voices with {', '.join(repr(name) for name in names)}")
    return (
        f"no price, and left out of the sums: set {' and '.join(wanted)}; see `liba metrics summary --help`"
    )


def _price(name: str, text: str) -> Price:
    try:
        return Price.read(text)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}", hint="see `liba metrics summary --help`") from error


def _write_csv(found: Bill, prices: Prices, by: Sequence[str]) -> None:
    """A line for each group; no line of sums, which would be counted twice."""
    rows = []
    for one in found.groups:
        told = encode(one, prices)
        rows.append(
            [*one.key, *(" ".join(value) if isinstance(value, list) else value for value in told.values())]
        )
    write_rows([*by, *encode(Cost(), prices)], rows, output.text)
