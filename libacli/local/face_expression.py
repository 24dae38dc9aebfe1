"""How the local avatar's face shows an emotion: by its brows and its mouth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libacli.core.emotion import Emotion


@dataclass(frozen=True)
class Expression:
    """What an emotion changes; all 0 is a face at rest."""

    raised: float = 0.0
    """Brows; -1 pulled down .. 1 raised."""

    slant: float = 0.0
    """Brows; -1 inner ends down, as in anger .. 1 inner ends up, as in grief."""

    smile: float = 0.0
    """Corners of the mouth; -1 down .. 1 up."""

    wry: float = 0.0
    """The mouth; 0 level .. 1 with its right corner up, as the viewer sees it."""


AT_REST = Expression()

EXPRESSIONS: Mapping[Emotion, Expression] = {
    "neutral": AT_REST,
    "happiness": Expression(raised=0.3, smile=1.0),
    "sadness": Expression(raised=0.1, slant=1.0, smile=-0.9),
    "anger": Expression(raised=-0.6, slant=-1.0, smile=-0.5),
    "fear": Expression(raised=0.7, slant=0.7, smile=-0.4),
    "surprise": Expression(raised=1.0, smile=-0.1),
    "disgust": Expression(raised=-0.4, slant=-0.5, smile=-0.8, wry=0.4),
    "contempt": Expression(raised=-0.1, slant=-0.2, smile=0.2, wry=1.0),
}
