"""How long each part of handing an utterance over may take: who waits outside waits longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

_STREAM_S = 3.0
"""An avatar holds the 2 s that are sent ahead: one that takes nothing for longer has stopped playing."""

_CLEAR_S = 2.0
"""Time for one call to the avatar and back; whoever interrupts waits for it."""

_CONNECTION_S = 60.0
"""The SDK gives up making a lost connection anew before that, and then the job ends."""

_RETURN_S = 50.0
"""LiveKit's SDK for pages gives up after 44 s (`DefaultReconnectPolicy` of livekit-client 2), and who is back
has to take the sound."""

AUDIENCE_S = 2.0
"""For people who are just joining; longer than most connections take to come about."""

_SLACK_S = 1.0
"""What an outer bound is longer by, at least: a loop that is late must not turn the order round."""


@dataclass(frozen=True)
class Bounds:
    """All bounds of one utterance on its way from the speaker to who plays it, in seconds.

    When an inner wait ends there is a way on: the other sink. When an outer one ends the line has failed.
    So a value in which an outer bound would end first cannot be made.
    """

    frame_s: float = 5.0
    """Longest wait for the track to take one frame."""

    stream_s: float = 0.0
    """Longest wait for the avatar: to open its stream, to take one frame, to close it. 0: there is none."""

    gate_s: float = 0.0
    """Longest wait for an avatar that is joining."""

    connection_s: float = _CONNECTION_S
    """Longest wait for a connection to LiveKit that is being made anew."""

    return_s: float = _RETURN_S
    """Longest wait for viewers who have lost their connection together with the agent."""

    audience_s: float = AUDIENCE_S
    """Longest wait for people who are in the room and do not hear yet."""

    clear_s: float = _CLEAR_S
    """Longest time for a sink to fall silent."""

    speaker_write_s: float = 5.0
    """Longest wait of the speaker until a frame was taken by whichever sink."""

    speaker_open_s: float = _CONNECTION_S + _RETURN_S + AUDIENCE_S + _SLACK_S
    """Longest wait of the speaker until a way was open."""

    speaker_clear_s: float = _CLEAR_S + _SLACK_S
    """Longest wait of the speaker for silence."""

    def __post_init__(self) -> None:
        avatar_s = self.stream_s + self.clear_s if self.stream_s else 0.0
        if self.speaker_write_s < self.frame_s or self.speaker_write_s <= avatar_s:
            raise ValueError("the speaker would give a frame up before the sinks do")
        ready_s = self.connection_s + self.return_s + self.audience_s
        if self.speaker_open_s <= ready_s + self.gate_s + self.stream_s:
            raise ValueError("the speaker would give a line up while it may still be opened")
        if self.speaker_clear_s <= self.clear_s:
            raise ValueError("the speaker would not let a sink fall silent")

    @classmethod
    def derive(cls, *, frame_s: float, gate_s: float | None = None) -> Self:
        """The outer bounds follow from the inner ones. `gate_s` None: there is no avatar to wait for."""
        if gate_s is None:
            return cls(frame_s=frame_s, speaker_write_s=frame_s)
        # Who wants frames to be taken sooner than that wants it of the avatar too.
        stream_s = min(_STREAM_S, frame_s)
        return cls(
            frame_s=frame_s,
            stream_s=stream_s,
            gate_s=gate_s,
            speaker_write_s=max(frame_s, stream_s + _CLEAR_S + _SLACK_S),
            speaker_open_s=_CONNECTION_S + _RETURN_S + AUDIENCE_S + gate_s + stream_s + _SLACK_S,
        )
