"""The log of a command that runs until it is stopped."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from libacli.cli.output import printable
from libacli.config import Settings
from libacli.exposure import exposures
from libacli.masking import masked, secrets_of

_NOISY = ("livekit", "livekit.agents", "httpx2", "httpcore2", "openai", "websockets", "asyncio")


def configure_log(settings: Settings) -> None:
    """Logs to stderr from `log.level` on; libraries are quiet unless it is `debug`."""
    _log_to(logging.StreamHandler(sys.stderr), settings)


@contextmanager
def logging_to_file(settings: Settings, name: str) -> Iterator[None]:
    """The same to a file of this user's alone, for a command whose screen is for people."""
    from platformdirs import user_state_path

    from libacli.local.log_files import new_log_file

    path = new_log_file(user_state_path("liba") / "logs", name)
    handler = logging.FileHandler(path, encoding="utf-8")
    _log_to(handler, settings)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _log_to(handler: logging.Handler, settings: Settings) -> None:
    handler.setFormatter(SafeFormatter(secrets_of(settings, os.environ)))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
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
