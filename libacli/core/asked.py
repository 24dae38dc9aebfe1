"""What an utterance has cost: what was asked of the voice for it, and by whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """Told to meters, and to nobody in the room."""

    account: str = ""
    """Who asked, as `Account.name`; empty: nobody knows."""

    chars: int = 0
    """Characters that the voice was asked for: none for what was kept, more than the text has where some was
    asked for again."""

    ms: float = 0.0
    """Milliseconds of sound that came of it, whether they were heard or not."""


NOTHING_ASKED = Asked()
