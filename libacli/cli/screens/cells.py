"""What others wrote, as it may stand on a screen: words, whatever is in them."""

from __future__ import annotations

from rich.text import Text

from libacli.cli.output import printable


def clean(text: str) -> str:
    """One line that drives no terminal."""
    return printable(text.replace("\n", " ").replace("\t", " "))


def cell(text: str) -> Text:
    """The same for a table. A bare string would be read as markup: `[/x]` an error, `[link=...]` a link."""
    return Text(clean(text))
