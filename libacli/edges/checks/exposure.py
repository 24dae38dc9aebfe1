"""Whether others can read what is sent, or guess what it is signed with."""

from __future__ import annotations

from libacli.config import Settings
from libacli.edges.checks.finding import WRONG_SETTING, Finding
from libacli.exposure import exposures


def exposure(settings: Settings) -> Finding:
    """A failure that names all of them: everything works as it should until it is too late."""
    found = exposures(settings)
    if not found:
        return Finding(
            "exposure", "ok", "nothing goes to other machines in the clear, no secret can be guessed"
        )
    fix = "; ".join(dict.fromkeys(one.fix for one in found))
    return Finding("exposure", "fail", "; ".join(one.message for one in found), fix, WRONG_SETTING)
