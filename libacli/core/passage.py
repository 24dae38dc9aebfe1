"""What of an utterance has been given to the sink, and what of it is heard by now."""

from __future__ import annotations

import math
from dataclasses import dataclass

_PACE_S = 0.065
"""Of a character, as long as the voice has not said all of it."""

_ALMOST = 0.99


@dataclass(eq=False)
class Passage:
    """What one request to the voice says."""

    text: str
    """As the voice got it."""

    begins_s: float
    """So much sound of the utterance is before it, in seconds."""

    sound_s: float = 0.0
    """Of it, so much has come."""

    is_whole: bool = False
    """All of it has come."""

    def ends(self, at_s: float) -> None:
        """What follows begins there."""
        if not self.is_whole:
            self.sound_s, self.is_whole = at_s - self.begins_s, True

    def heard(self, position_s: float) -> float:
        """How much of it is heard when so much of the utterance is, 0 to 1."""
        played_s = position_s - self.begins_s
        if played_s <= 0:
            return 0.0
        if self.is_whole or math.isinf(played_s):
            return 1.0 if played_s >= self.sound_s else played_s / self.sound_s
        return min(played_s / max(self.sound_s, _PACE_S * len(self.text)), _ALMOST)
