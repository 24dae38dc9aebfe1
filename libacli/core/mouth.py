"""What a mouth looks like at one moment, and what each sound of speech asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Contact = Literal["none", "bite", "teeth", "tongue"]
"""What touches in an open mouth: lower lip and upper teeth (f, v), both rows of teeth (s, sh), or tongue and
teeth (th)."""

Viseme = Literal[
    "sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou"
]  # fmt: skip
"""Sounds that look the same, in the fifteen kinds of Oculus LipSync's "Viseme Reference", which OpenXR uses
too."""


@dataclass(frozen=True)
class MouthShape:
    """How a mouth looks at one moment."""

    openness: float = 0.0
    """0 closed .. 1 wide open."""

    width: float = 0.5
    """0 round ("oo") .. 1 wide ("ee")."""

    contact: Contact = "none"

    stress: float = 0.0
    """0 .. 1: how much louder than the speech around it is what is said; brows and head go with it."""


VISEMES: Mapping[Viseme, MouthShape] = MappingProxyType(
    {
        "sil": MouthShape(0.0, 0.5),
        "PP": MouthShape(0.0, 0.5),
        "FF": MouthShape(0.7, 0.5, "bite"),
        "TH": MouthShape(0.8, 0.55, "tongue"),
        "DD": MouthShape(0.8, 0.6),
        "kk": MouthShape(0.8, 0.55),
        "CH": MouthShape(0.75, 0.2, "teeth"),
        "SS": MouthShape(0.75, 0.7, "teeth"),
        "nn": MouthShape(0.8, 0.55),
        "RR": MouthShape(0.8, 0.25),
        "aa": MouthShape(1.0, 0.6),
        "E": MouthShape(0.9, 0.7),
        "ih": MouthShape(0.85, 0.9),
        "oh": MouthShape(0.95, 0.2),
        "ou": MouthShape(0.8, 0.0),
    }
)
"""Each viseme as it looks at full loudness: consonants are less loud, and less open, than vowels anyway."""
