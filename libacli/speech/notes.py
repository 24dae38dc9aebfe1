"""What a speaker and a desk ask of whoever writes down what they do; and the one who writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from libacli.core.lifecycle import State
from libacli.core.utterance import Utterance


class Notes(Protocol):
    """Of one queue. All but `end` and `confirm` return at once; none raises."""

    def accepted(self, utterance: Utterance) -> None:
        """It was queued."""

    def begun(self, utterance: Utterance) -> None:
        """It is its turn: the voice is asked for it."""

    def over(self, utterance: Utterance) -> None:
        """It has ended, in the state that it has."""

    def arranged(self, waiting: Sequence[Utterance]) -> None:
        """They wait in this order now, with the priorities and the pauses that they have."""

    def paused(self, at: float | None) -> None:
        """The queue is paused since that moment of the loop's clock; None: it is not."""

    async def end(self, utterance: Utterance, state: State, reason: str) -> None:
        """It is about to end so: returns once nobody will say it again, or after a bound."""

    def keeps(self, utterance: Utterance) -> bool:
        """Whether the agent that follows finds it, and says it."""

    async def confirm(self) -> bool | None:
        """Whether all that was noted until now is written down; within a second. None: nothing ever is."""


class NoNotes:
    """Keeps nothing. Implements `Notes`."""

    def accepted(self, utterance: Utterance) -> None:
        pass

    def begun(self, utterance: Utterance) -> None:
        pass

    def over(self, utterance: Utterance) -> None:
        pass

    def arranged(self, waiting: Sequence[Utterance]) -> None:
        pass

    def paused(self, at: float | None) -> None:
        pass

    async def end(self, utterance: Utterance, state: State, reason: str) -> None:
        pass

    def keeps(self, utterance: Utterance) -> bool:
        return False

    async def confirm(self) -> bool | None:
        return None
