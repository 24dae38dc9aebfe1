"""What an avatar's face can be asked to show while a text is spoken.

The words are Tavus's, as its plugin for livekit-agents has them (`Emotion` of livekit-plugins-tavus 1.8.9).
"""

from __future__ import annotations

from typing import Literal, get_args

Emotion = Literal["neutral", "happiness", "sadness", "anger", "fear", "surprise", "disgust", "contempt"]

EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)
NEUTRAL: Emotion = "neutral"
