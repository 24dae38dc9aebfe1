"""The log of a command that runs until it is stopped."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from libacli.cli.output import output, printable
from libacli.config import Settings
from libacli.exposure import exposures
from libacli.kubernetes import is_pod
from libacli.log_context import FIELDS, note_what_records_are_about
from libacli.masking import masked, secrets_of

_NOISY = (
    *("livekit", "livekit.agents", "httpx2", "httpcore2", "openai", "websockets", "asyncio", "aiohttp"),
    *("mcp", "sse_starlette"),
)


def configure_log(settings: Settings) -> None:
    """Logs to stderr from `log.level` on; libraries are quiet unless it is `debug`.

    Where that is JSON, status and errors of the command become lines of the log, too.
    """
    is_json = settings.log_format == "json"
    if settings.log_format == "auto":
        is_json = is_pod(os.environ) and not sys.stderr.isatty()
    _log_to(logging.StreamHandler(sys.stderr), settings, is_json=is_json)
    output.log = logging.getLogger("liba") if is_json else None


@contextmanager
def logging_to_file(settings: Settings, name: str) -> Iterator[None]:
    """The same to a file of this user's alone, for a command whose screen is for people."""
    from platformdirs import user_state_path

    from libacli.local.log_files import new_log_file

    path = new_log_file(user_state_path("liba") / "logs", name)
    handler = logging.FileHandler(path, encoding="utf-8")
    _log_to(handler, settings, is_json=settings.log_format == "json")
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _log_to(handler: logging.Handler, settings: Settings, *, is_json: bool) -> None:
    secrets = secrets_of(settings, os.environ)
    handler.setFormatter(JsonFormatter(secrets) if is_json else SafeFormatter(secrets))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    note_what_records_are_about()
    if settings.log_level != "debug":
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)


def warn_of_exposures(settings: Settings) -> None:
    """Logs what others could read on the way, or guess, when a command begins to send it."""
    for exposure in exposures(settings):
        logging.getLogger("liba").warning("%s; %s", exposure.message, exposure.fix)


class SafeFormatter(logging.Formatter):
    """One line for a record, whatever is in it, then its traceback; none of `secrets` in either.

    The records of room processes come here too: the framework hands them to the worker.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
        self._secrets = secrets

    def formatMessage(self, record: logging.LogRecord) -> str:
        if record.exc_text:  # from a room process, with the traceback in its message as well
            record.message = record.message.removesuffix("\n" + record.exc_text)
        return super().formatMessage(record).replace("\n", "\\n")

    def format(self, record: logging.LogRecord) -> str:
        return printable(masked(super().format(record), self._secrets))


class JsonFormatter(logging.Formatter):
    """A JSON object for a record: `time` in ISO 8601 with its zone, `level`, `logger`, `message`, and where
    they are known `room`, `uid` of the utterance, `exception`; none of `secrets` in any of them.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).astimezone()
        exception = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        told = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            # From a room process the traceback stands in the message as well.
            "message": record.getMessage().removesuffix(f"\n{exception}" if exception else ""),
        }
        told |= {name: str(value) for name in FIELDS if (value := getattr(record, name, ""))}
        if exception:
            told["exception"] = exception
        return json.dumps({name: masked(value, self._secrets) for name, value in told.items()})
