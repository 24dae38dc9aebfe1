"""What `liba demo` prints of each line that is typed: that it begins, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from libacli.cli.output import output
from libacli.cli.screens.cells import clean
from libacli.cli.screens.demo_result import DemoResult, show
from libacli.errors import LibaError, RefusedError

_TITLE_CHARS = 44
"""So much of a text is shown that the rest of its line has room beside it in 80 columns."""


def title(text: str, place: str = "") -> str:
    """How a line is called: `3/10 "The beginning of its te…"`."""
    shown = clean(text)
    shown = shown if len(shown) <= _TITLE_CHARS else shown[: _TITLE_CHARS - 1].rstrip() + "…"
    return f'{place} "{shown}"'.strip()


class DemoScreen:
    """Prints it; as JSON only what came of lines, one object each."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def begins(self, name: str) -> None:
        output.status(f"{name}  speaking...")

    def heard(self, name: str, result: DemoResult) -> None:
        if self._as_json:
            output.ndjson(result.encode())
        else:
            show(result)

    def stopped(self, name: str, *, after_s: float | None, by_us: bool) -> None:
        when = "before it began" if after_s is None else f"after {after_s:.1f} s"
        self._ended("stopped", name, when if by_us else f"{when}, by somebody else: on the page, say")

    def failed(self, name: str, error: LibaError) -> None:
        word = "refused" if isinstance(error, RefusedError) else "lost"
        self._ended(word, name, clean(f"{error}{f' - {error.hint}' if error.hint else ''}"))

    def dropped(self, names: Sequence[str]) -> None:
        for name in names:
            self._ended("dropped", name, "it was not handed over yet")

    def _ended(self, word: str, name: str, why: str) -> None:
        if self._as_json:
            output.ndjson({"line": name, "state": word, "reason": why})
        else:
            output.result(f"{word.upper()}  {name}")
            output.result(f"  {why}")
