"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from libacli.errors import ConfigError, LibaError

Verdict = Literal["ok", "warn", "fail", "skip"]

WRONG_SETTING = ConfigError.exit_code


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report. It holds no secret."""

    name: str
    """What was looked at: one or two words, always the same ones."""

    verdict: Verdict
    message: str
    """What was found, in one clause."""

    fix: str = ""
    """What to do about it, or the command to run; empty where there is nothing to do."""

    exit_code: int = 1
    """What the command ends with when the verdict is `fail`."""


def failure(name: str, error: LibaError) -> Finding:
    """The finding that an error amounts to."""
    return Finding(name, "fail", str(error), error.hint, error.exit_code)
