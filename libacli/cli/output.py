"""The one place that prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from libacli.errors import LibaError

if TYPE_CHECKING:
    import logging

    from rich.console import Console  # noqa: TID251
    from rich.table import Table

    from libacli.config import Settings


class Output:
    """How a command talks. `quiet` keeps status and progress to itself, never results or errors."""

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self.log: logging.Logger | None = None
        """Takes status and errors in the place of stderr, where that is a log for machines."""

        self.settings: Settings | None = None
        """Those in force, once they are known: an error does not tell the secrets among them."""

    def result(self, text: str) -> None:
        """A line of what was asked for."""
        print(printable(text), flush=True)  # noqa: T201

    def text(self, text: str) -> None:
        """A piece of what was asked for, as it is; it must hold nothing that drives a terminal."""
        sys.stdout.write(text)

    def json(self, value: Any) -> None:
        """What was asked for, as one indented JSON document."""
        print(_document(value, indent=2), flush=True)  # noqa: T201

    def ndjson(self, value: Any) -> None:
        """One more value of a stream, on a line of its own."""
        print(_document(value), flush=True)  # noqa: T201

    def status(self, text: str) -> None:
        """What is going on, in words of our own: a watch link in it keeps its token."""
        if self.log:
            self.log.info(text)
        elif not self.quiet:
            from libacli.masking import without_password

            _tell(printable(without_password(text)))

    def error(self, error: LibaError) -> None:
        """What is wrong, and the next step, in one line; where it came from too, when `verbose`."""
        hint = f" - {error.hint}" if error.hint else ""
        if self.log:
            self.log.error("%s%s", error, hint, exc_info=error if self.verbose else None)
            return
        self.trace(error)
        line = " ".join(f"liba: {error}{hint}".splitlines())
        _tell(self._without_secrets(line))

    def trace(self, error: BaseException) -> None:
        """Where an error came from, when `verbose`; without the secrets that it may hold."""
        if self.verbose:
            import traceback

            told = "".join(traceback.format_exception(error))
            _tell(self._without_secrets(told), end="")

    def _without_secrets(self, complaint: str) -> str:
        from libacli.masking import masked, secrets_of

        secrets = secrets_of(self.settings, os.environ) if self.settings else []
        return printable(masked(complaint, secrets))

    def table(self, table: Table) -> None:
        """What was asked for, as a table; as wide as it needs to be where there is no terminal."""
        plain_console(width=None if sys.stdout.isatty() else 200).print(table)


class InstallProgress:
    """Shows the steps of an installation on stderr: a bar that moves on a terminal, plain lines elsewhere."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._moves = sys.stderr.isatty() and not output.quiet
        self._last = 0.0

    def step(self, message: str) -> None:
        self._erase()
        self._output.status(message)

    def fraction(self, done: int, total: int | None, *, unit: str = "bytes") -> None:
        now = time.monotonic()
        if not self._moves or (now - self._last < 0.1 and done != total):
            return
        self._last = now
        far = f" ({done * 100 // total} %)" if total else ""
        if unit == "bytes":
            size = f"{done / 1e6:.1f} MB" + (f" of {total / 1e6:.1f} MB" if total else "")
        else:
            size = str(done) + (f" of about {total} {unit}" if total else f" {unit}")
        print(f"\r  {size}{far}   ", end="", file=sys.stderr, flush=True)  # noqa: T201

    def _erase(self) -> None:
        if self._moves and self._last:
            print("\r\x1b[K", end="", file=sys.stderr)  # noqa: T201
            self._last = 0.0


def printable(text: str) -> str:
    """`text` with control characters made visible: what came from outside must not drive the terminal."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else repr(character)[1:-1]
        for character in text
    )


def plain_console(width: int | None = None, *, stderr: bool = False) -> Console:
    """Standard output for Rich's tables and screens, or `stderr`, of `width` columns or those that it has.

    A string is what it is there: names come from outside, and Rich's markup can link, and fail.
    """
    from rich.console import Console  # noqa: TID251

    class _Console(Console):
        def on_broken_pipe(self) -> None:
            """Whoever reads has had enough, which is no failure: `main` ends with 0."""
            raise BrokenPipeError

    return _Console(width=width, stderr=stderr, markup=False, emoji=False, highlight=False)


def _tell(text: str, *, end: str = "\n") -> None:
    """On stderr, if it can be: nothing fails because nobody reads how it goes, or a disk is full."""
    with suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)  # noqa: T201


def _document(value: Any, *, indent: int | None = None) -> str:
    """As JSON, with letters as they are where the locale has all."""
    is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    return _escaped(json.dumps(value, indent=indent, ensure_ascii=not is_unicode))


def _escaped(document: str) -> str:
    """A JSON document with the control characters escaped that JSON itself lets through."""
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1]
        for character in document
    )


output = Output()
