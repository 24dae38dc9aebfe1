"""What `liba probe --for` shows of how steady speech is: a table while it runs, a line at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from libacli.cli.output import plain_console
from libacli.core.probe_result import ProbeResult, counts_of
from libacli.core.steadiness import Steadiness

if TYPE_CHECKING:
    from rich.table import Table

_PICTURES_PER_S = 2.0


def is_shown_live() -> bool:
    """Whether there is a terminal to draw on."""
    return sys.stdout.isatty()


@contextmanager
def shown_live(draw: Callable[[], Table]) -> Iterator[None]:
    """Keeps what `draw` gives on the terminal, the last one stays. It is called in another thread."""
    from rich.live import Live

    with Live(
        get_renderable=draw,
        console=plain_console(),
        refresh_per_second=_PICTURES_PER_S,
        redirect_stdout=False,
        redirect_stderr=sys.stderr.isatty(),
    ):
        yield


def steadiness_table(results: Sequence[ProbeResult], *, since_s: float, for_s: float) -> Table:
    """What is known after `since_s` of `for_s` seconds."""
    from rich.table import Table

    table, steady = Table(show_header=False, box=None), Steadiness.of(results)
    whole = counts_of(results, "verdict").get("HEARD", 0)
    table.add_row("measured", f"{min(since_s, for_s):.0f} of {for_s:.0f} s")
    table.add_row("heard", f"{whole} of {len(results)} to the end")
    table.add_row("lips", _lips(steady))
    table.add_row("holes", _holes(steady))
    return table


def steadiness_line(steady: Steadiness) -> str:
    """All of it in one line."""
    return f"lips: {_lips(steady)}; holes: {_holes(steady)}"


def _lips(steady: Steadiness) -> str:
    if steady.lags is None:
        return "not seen"
    least, most = steady.lags
    drift = "" if steady.drift is None else f", drift {steady.drift:+.1f} ms a minute"
    return f"{least:.0f} to {most:.0f} ms later than the sound{drift}"


def _holes(steady: Steadiness) -> str:
    if not steady.compared:
        return "not known, no text was heard twice"
    return f"{len(steady.holes)} longer than 120 ms, the longest {steady.longest:.0f} ms"
