"""How far something is that takes a while: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from libacli.cli.output import output, plain_console


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """Shows on stderr how many of `total` are done; gives what is called after each."""
    console = plain_console(stderr=True)
    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=output.quiet or not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
