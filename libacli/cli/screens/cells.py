"""What others wrote, as it may stand on a screen: words, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from libacli.cli.output import printable


def clean(text: str) -> str:
    """One line that drives no terminal."""
    return printable(text.replace("\n", " ").replace("\t", " "))


def cell(text: str) -> Text:
    """The same for a table. A bare string would be read as markup: `[/x]` an error, `[link=...]` a link."""
    return Text(clean(text))


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line for each row, its cells below each other; of more rows than Rich could soon lay out."""
    cells = [[clean(one) for one in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (one + " " * (width - cell_len(one)) for one, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()
