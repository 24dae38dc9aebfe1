"""What runs on this machine for every `liba` that this user types: kept by `liba up` or `liba server run`.

It stands in a file that only this user can read, and counts as long as its owner holds a lock beside it: one
that was killed is not taken for one that runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from libacli.config_files import Given
from libacli.errors import ConfigError, UsageError
from libacli.private_files import locked, own_file, private_folder, write_private

_GROUPS = (
    ("livekit_url", "livekit_public_url", "livekit_api_key", "livekit_api_secret"),
    ("tavus_api_key", "tavus_base_url", "tavus_face_id", "tavus_pal_id"),
    ("say_room",),
)
"""Fields of `Settings` that count together: an address with another one's key is of no use."""

_LOOK_AGAIN_S = 0.1
_CLAIM_S = 1.0
"""Who looks whether somebody holds the lock holds it for a moment."""


@dataclass(frozen=True)
class Part:
    """One process of it."""

    name: str
    """`server`, `avatar`, `agent` or `page`."""

    pid: int
    address: str
    log: str
    started_at: float
    """Unix time, in seconds."""


@dataclass(frozen=True)
class RunningStack:
    """All of it."""

    pid: int
    """Of the command that keeps it; SIGTERM to it ends everything."""

    settings: Mapping[str, str]
    """What others need to reach it, by field of `Settings`. It holds secrets."""

    parts: Sequence[Part]


class StackFile:
    """Where it stands, for its owner and for everybody else."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "running.json"
        self._lock = folder / "running.lock"

    def read(self) -> RunningStack | None:
        """What runs now; None: nothing."""
        if not self.is_owned():
            return None
        with suppress(OSError, ValueError, TypeError, KeyError):  # not written yet, or just removed
            with os.fdopen(own_file(self._file), encoding="utf-8") as file:
                told = json.load(file)
            return RunningStack(told["pid"], told["settings"], [Part(**part) for part in told["parts"]])
        return None

    def wait_until_started(self, timeout_s: float, *, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Waits while its owner is just starting; False: that takes longer. Blocks."""
        for _ in range(round(timeout_s / _LOOK_AGAIN_S)):
            if self.read() or not self.is_owned():
                return True
            sleep(_LOOK_AGAIN_S)
        return False

    def is_owned(self) -> bool:
        """Whether somebody keeps a stack, or is just starting it."""
        with suppress(OSError), self._lock.open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextmanager
    def owned(self) -> Iterator[None]:
        """This process is its owner meanwhile.

        Raises UsageError when another one is, ConfigError where nothing can be written.
        """
        with ExitStack() as stack:
            try:
                private_folder(self._file.parent)
                stack.enter_context(locked(self._lock, timeout_s=_CLAIM_S))
                self._file.unlink(missing_ok=True)
            except BlockingIOError as error:
                raise UsageError(
                    "one runs already on this machine", hint="liba ps shows it, liba down ends it"
                ) from error
            except OSError as error:
                raise ConfigError(
                    f"cannot use {self._file.parent}: {error.strerror or error}", hint="make it writable"
                ) from error
            stack.callback(self._file.unlink, missing_ok=True)
            yield

    def write(self, settings: Mapping[str, str], parts: Sequence[Part]) -> None:
        """For its owner. Raises ConfigError where it cannot be written."""
        told = asdict(RunningStack(os.getpid(), dict(settings), list(parts)))
        try:
            write_private(self._file, json.dumps(told))
        except OSError as error:
            raise ConfigError(
                f"cannot write {self._file}: {error.strerror or error}", hint="free some space on its disk"
            ) from error


def stack_file() -> StackFile:
    """That of this user."""
    from platformdirs import user_state_path

    return StackFile(user_state_path("liba"))


def stack_settings(file: StackFile, others: Mapping[str, Any]) -> dict[str, Given]:
    """What the running stack adds to `others`, the fields that are set elsewhere, by field.

    Nothing where another LiveKit server is set up, or where it has none of its own, and no avatar where
    another one is.
    """
    server, *rest = _GROUPS
    if any(field in others for field in server):
        return {}
    found = file.read()
    if not found or not found.settings.get("livekit_url"):
        return {}
    origin = f"what runs here, pid {found.pid}: liba ps"
    fields = [*server, *(field for group in rest if not set(group) & set(others) for field in group)]
    return {field: Given(found.settings[field], origin) for field in fields if found.settings.get(field)}
