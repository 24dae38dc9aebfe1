"""The file that finished utterances are kept in: its place, its schema, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from libacli.core.utterance_record import UtteranceRecord
from libacli.errors import ConfigError, FileError

if TYPE_CHECKING:
    from sqlite3 import Connection

MIGRATIONS = (
    """
    PRAGMA application_id = 1818845793;
    CREATE TABLE record (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        t0 REAL NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT NOT NULL,
        room TEXT NOT NULL,
        agent TEXT NOT NULL,
        epoch TEXT NOT NULL,
        route TEXT NOT NULL,
        route_reason TEXT NOT NULL,
        voice TEXT NOT NULL,
        model TEXT NOT NULL,
        chars INTEGER NOT NULL,
        chunks INTEGER NOT NULL,
        frames INTEGER NOT NULL,
        speech_ms REAL NOT NULL,
        underruns INTEGER NOT NULL,
        t3_source TEXT NOT NULL,
        replayed INTEGER NOT NULL,
        waited REAL,
        d01 REAL,
        d12 REAL,
        d2a REAL,
        d23 REAL,
        total REAL,
        UNIQUE (epoch, id, t0)
    )
    """,
    "CREATE INDEX record_by_t0 ON record (t0)",
    """
    ALTER TABLE record ADD COLUMN provider TEXT NOT NULL DEFAULT '';
    ALTER TABLE record ADD COLUMN voice_reason TEXT NOT NULL DEFAULT '';
    ALTER TABLE record ADD COLUMN reworded INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE record ADD COLUMN hedged INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE record ADD COLUMN cached INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE record ADD COLUMN hold REAL NOT NULL DEFAULT 0
    """,
    # d01 counted from the request, and counts from the line's turn now.
    "UPDATE record SET d01 = MAX(0, d01 - COALESCE(waited, 0)) WHERE d01 IS NOT NULL",
    "ALTER TABLE record ADD COLUMN resumed INTEGER NOT NULL DEFAULT 0",
    # What was asked of the voice before this was counted: the text, once, unless it was kept.
    """
    ALTER TABLE record ADD COLUMN account TEXT NOT NULL DEFAULT '';
    ALTER TABLE record ADD COLUMN asked_chars INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE record ADD COLUMN asked_ms REAL NOT NULL DEFAULT 0;
    UPDATE record SET asked_chars = chars, asked_ms = speech_ms WHERE NOT cached AND provider <> '';
    CREATE TABLE avatar_time (
        life TEXT NOT NULL,
        began REAL NOT NULL,
        ended REAL NOT NULL,
        seconds REAL NOT NULL,
        room TEXT NOT NULL,
        vendor TEXT NOT NULL,
        PRIMARY KEY (life, began)
    )
    """,
)
"""What makes version n of the schema from version n-1; `PRAGMA user_version` is n.

Scripts are split at semicolons. One that was released is never changed. Positions are never used twice
(AUTOINCREMENT), so that one who follows the table misses nothing when old rows have gone.
"""

APPLICATION_ID = 1818845793
"""`liba` in ASCII: tells our files from other programs' databases."""

D01 = """
    CASE WHEN (SELECT user_version FROM pragma_user_version) < 4
    THEN MAX(0, d01 - COALESCE(waited, 0)) ELSE d01 END
"""
"""How `d01` is read from a store that is still one of an older version."""

FIELDS = tuple(field.name for field in fields(UtteranceRecord))
"""Columns of the table, in the order of `Record`; before them comes `position`."""


def metrics_path() -> Path:
    """Where the agents of this user keep their records, whether it is there or not."""
    from platformdirs import user_state_path

    return user_state_path("liba") / "metrics.db"


def connect(path: Path, mode: Literal["ro", "rwc"], timeout_s: float) -> Connection:
    """A connection in autocommit mode; for any thread, but one at a time. Raises sqlite3.Error."""
    import sqlite3

    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )


def version(connection: Connection, path: Path) -> int:
    """Version of the schema; 0 where there is nothing yet.

    Raises ConfigError when it is newer than this liba knows, or the database belongs to another program.
    """
    # In this order: another process may make the tables in between.
    is_empty = connection.execute("PRAGMA schema_version").fetchone()[0] == 0
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if not is_empty and application != APPLICATION_ID:
        raise _not_a_store(path)
    if found > len(MIGRATIONS):
        raise ConfigError(
            f"{path} was written by a newer version of liba", hint=f"upgrade liba, or move {path} away"
        )
    return found


def migrate(connection: Connection, path: Path) -> None:
    """Brings the schema up to date, however many processes do so at once. Raises what `version` raises."""
    if version(connection, path) == len(MIGRATIONS):
        return
    # Both must come before the first table; on a store that has tables they change nothing.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for script in MIGRATIONS[version(connection, path) :]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turns whatever the system or SQLite say of the file into a FileError with a hint."""
    import sqlite3

    try:
        yield
    except OSError as error:
        raise FileError(f"cannot open {path}: {error.strerror}", hint=_ACCESS) from error
    except sqlite3.Error as error:
        raise _explained(error, path) from error


def _explained(error: Exception, path: Path) -> ConfigError:
    import sqlite3

    if path.is_dir():  # SQLite calls that a disk that fails
        return FileError(f"cannot use {path}: it is a folder", hint=_move_away(path))
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of the bits are details
    if code == sqlite3.SQLITE_NOTADB:
        return _not_a_store(path)
    what, hint = {
        sqlite3.SQLITE_CORRUPT: ("it is damaged", _move_away(path)),
        sqlite3.SQLITE_FULL: ("the disk is full", "make room on its disk"),
        sqlite3.SQLITE_BUSY: ("another program has locked it", "close what has it open"),
        sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", _ACCESS),
        sqlite3.SQLITE_READONLY: ("it cannot be written", _ACCESS),
        sqlite3.SQLITE_IOERR: ("its disk has no room, or fails", "see how much is free on its disk"),
    }.get(code, (str(error), _move_away(path)))
    return FileError(f"cannot use {path}: {what}", hint=hint)


_ACCESS = "the file and its folder must be this user's, to read and write"


def _not_a_store(path: Path) -> ConfigError:
    return ConfigError(f"{path} is not a metrics store", hint=_move_away(path))


def _move_away(path: Path) -> str:
    return f"move {path} away; a new one is made"
