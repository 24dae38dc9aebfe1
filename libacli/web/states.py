"""The life of an utterance, as the page is told: it has no table of its own."""

from __future__ import annotations

from pydantic import BaseModel, Field

from libacli.core.lifecycle import FINAL_STATES, RANKS, is_over


class StateRules(BaseModel):
    """What is to be known of one state of utterances."""

    rank: int = Field(description="A state of a lower one does not follow it: such news is late")
    is_final: bool = Field(description="No other state follows")
    is_over: bool = Field(description="Nothing more is on its way, as far as is known")


STATES = {
    str(state): StateRules(rank=rank, is_final=state in FINAL_STATES, is_over=is_over(state))
    for state, rank in RANKS.items()
}
