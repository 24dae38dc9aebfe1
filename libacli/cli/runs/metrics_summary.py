"""Runs `liba metrics summary` and `liba metrics export`: records of the local store, in numbers or whole."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from libacli.cli.options import seconds
from libacli.cli.output import output, printable
from libacli.cli.runs.thresholds import check_thresholds, read_thresholds
from libacli.core.avatar_time import AvatarTime
from libacli.core.route import ROUTE_WORDS, route_word
from libacli.core.summary import summarise
from libacli.core.timeline import DURATIONS
from libacli.core.utterance_record import UtteranceRecord
from libacli.errors import FileError, UsageError
from libacli.private_files import kept_whole

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would calculate."""


@dataclass(frozen=True)
class Selection:
    """Which records are meant."""

    room: str = ""
    route: str = ""
    since: float | None = None
    """POSIX seconds, as is `until`."""

    until: float | None = None

    @classmethod
    def read(cls, *, room: str | None, route: str | None, since: str | None, until: str | None) -> Selection:
        """From the command line. Raises UsageError."""
        if route not in (None, *ROUTE_WORDS):
            raise UsageError(f"{route!r} is not a route", hint=f"it is {' or '.join(ROUTE_WORDS)}")
        return cls(
            room or "",
            route or "",
            None if since is None else _moment(since),
            None if until is None else _moment(until),
        )

    def avatar_times(self) -> Iterator[tuple[AvatarTime, float]]:
        """When avatars were there, and for how many seconds of this time; none on another route."""
        from libacli.edges.metrics.reader import MetricsReader
        from libacli.edges.metrics.store import metrics_path

        if self.route == route_word("track"):
            return
        since = -math.inf if self.since is None else self.since
        until = math.inf if self.until is None else self.until
        with MetricsReader(metrics_path()) as reader:
            for one in reader.avatar_times(since=self.since, until=self.until, room=self.room):
                yield one, one.seconds_in(since, until)

    def records(self) -> Iterator[UtteranceRecord]:
        """Those of the store, oldest first. Raises ConfigError when the store cannot be read."""
        from libacli.edges.metrics.reader import MetricsReader
        from libacli.edges.metrics.store import metrics_path

        with MetricsReader(metrics_path()) as reader:
            for record in reader.records(since=self.since, until=self.until, room=self.room):
                if not self.route or route_word(record.route) == self.route:
                    yield record


def summarise_store(
    selection: Selection, *, by: Sequence[str], conditions: Sequence[str], as_json: bool
) -> None:
    """Prints the numbers. Raises UsageError, or ThresholdError when one of `conditions` does not hold."""
    thresholds = read_thresholds(conditions, DURATIONS)
    whole, groups = summarise(selection.records(), by)
    if as_json:
        told = [dict(zip(by, group.key, strict=True)) | group.encode() for group in groups]
        output.json(whole.encode() | {"groups": told})
    elif not whole.count:
        output.status("no records; agents of this machine write one for each utterance")
    else:
        from libacli.cli.screens.summary_table import show_summary

        show_summary(whole, groups, by)
    check_thresholds(thresholds, whole.values)


def export_store(selection: Selection, format: str, to: Path | None) -> None:
    """Writes the records to a new file, or to standard output. Raises ConfigError or UsageError."""
    with _destination(to) as write:
        _WRITERS[format](selection.records(), write)


def _write_csv(records: Iterator[UtteranceRecord], write: Callable[[str], Any]) -> None:
    names = [field.name for field in fields(UtteranceRecord)]
    write_rows(names, (list(record.encode().values()) for record in records), write)


def write_rows(names: Sequence[str], rows: Iterable[Sequence[Any]], write: Callable[[str], Any]) -> None:
    """Writes CSV that a spreadsheet may open, line by line."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")

    def put(row: Sequence[Any]) -> None:
        writer.writerow([_cell(value) for value in row])
        write(line.getvalue())
        line.seek(0)
        line.truncate()

    put(names)
    for row in rows:
        put(row)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        # Ids and names come from outside: a spreadsheet must not take them for formulas.
        return printable(f"'{value}" if value.startswith(_FORMULA) else value)
    return value


def _write_ndjson(records: Iterator[UtteranceRecord], write: Callable[[str], Any]) -> None:
    for record in records:
        write(json.dumps(record.encode()) + "\n")


def _write_json(records: Iterator[UtteranceRecord], write: Callable[[str], Any]) -> None:
    separator = "[\n"
    for record in records:
        write(f"{separator}  {json.dumps(record.encode())}")
        separator = ",\n"
    write("[]\n" if separator == "[\n" else "\n]\n")


_WRITERS = {"csv": _write_csv, "json": _write_json, "ndjson": _write_ndjson}


@contextmanager
def _destination(to: Path | None) -> Iterator[Callable[[str], Any]]:
    if to is None:
        yield output.text
        return
    try:
        with kept_whole(to, replaces=False) as file:
            yield file.write
    except FileExistsError as error:
        raise UsageError(f"{to} is there already", hint="choose another name, or remove it") from error
    except OSError as error:
        raise FileError(f"cannot write {to}: {error.strerror}", hint="choose another place") from error


def _moment(text: str) -> float:
    """POSIX seconds of so long before now, or of a date and time, in this machine's zone if it names none."""
    now = datetime.now(UTC)
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        pass
    try:
        return now.timestamp() - seconds(text)
    except UsageError as error:
        raise UsageError(
            f"{text!r} is not a time", hint="write it like 24h, 7d or 2026-11-22T18:00"
        ) from error
